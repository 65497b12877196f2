"""Code that runs in the container. It imports none of our other code."""
