"""The sign-in machine: `oncegate.machine.chart` is the file to read.

Everything that decides a transition is in this package: the states and transitions in ``chart``, the
conditions in ``guards``, the changes of the record in ``effects``. ``context`` has what they work on,
``engine`` runs the chart, and ``advance`` applies one trigger to one flow.
"""
