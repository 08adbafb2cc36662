"""Access to the Kubernetes API. The only package that imports its client.

The client looks up the home folder when it is imported. Without HOME, that fails for a user who has
no passwd entry, such as the one that OpenShift assigns. Container runtimes then set HOME to ``/``.
"""

import os
from pathlib import Path

try:
    Path.home()
except RuntimeError:
    os.environ["HOME"] = "/"
