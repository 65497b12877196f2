"""Measure what changing the version of a framework does to training speed and accuracy.

The program is one line of verbs, and each verb is a module or a folder with that name::

    read -> lock -> plan -> prepare -> execute -> summarise -> judge -> report

``cli/`` is the command line and ``pipeline.py`` runs the verbs in order. ``engines/`` is where
trials run, ``inside/`` is the code that runs in the container, ``runs/`` is a run on disk,
``bundle/`` packs a run into one file and replays it, ``doctor/`` examines the machine. The verbs
exchange the frozen records in ``records/``; ``system/`` and ``python/`` wrap this machine and its
interpreters. ``docs/architecture.md`` follows a value through the code, and ``docs/words.md``
explains the words.
"""

__version__ = "0.1.0"
