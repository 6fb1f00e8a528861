"""``python -m oncegate_cli``: the same as the ``oncegate`` command."""

from oncegate_cli.entry import main

main()
