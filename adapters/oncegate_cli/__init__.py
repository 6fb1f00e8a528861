"""The ``oncegate`` command. Extra: ``oncegate[cli]``."""
