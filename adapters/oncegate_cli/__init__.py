"""The ``oncegate`` command. Extra: ``oncegate[cli]``.

It is the composition root: the one package that imports other adapters (`oncegate_cli._adapters`).
"""
