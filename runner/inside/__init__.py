"""Code that runs in the container. It imports none of our other code."""

from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")
ISOLATED = ("-I", "-S")
"""The options of the launcher's interpreter: no package of an environment runs inside it."""
MATCHED = Path(__file__).with_name("matched.py")
"""The module that scripts of a matched study may import."""
TRIAL = Path(__file__).with_name("trial.py")
"""The module that every script may import."""
MODULES = (TRIAL, MATCHED)
