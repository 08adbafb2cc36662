"""The entry of an injected runtime, copied to the top of its folder: see `aiapi_runtime.launcher`.

It runs on Python 3.6 and later, and leaves nothing behind in the folder or on `sys.path`.
"""

import os
import sys

if __name__ == "__main__":
    _LAUNCHER = os.path.abspath(__file__)
    _HOME = os.path.dirname(_LAUNCHER)
    # Python puts a script's folder first, unless PYTHONSAFEPATH is set.
    if sys.path and os.path.abspath(sys.path[0]) == _HOME:
        del sys.path[0]
    _LIB = os.path.join(_HOME, "lib")
    sys.dont_write_bytecode = True
    sys.path.insert(0, _LIB)
    from aiapi_runtime.injected import main

    sys.path.remove(_LIB)
    sys.exit(main(_LAUNCHER, sys.argv[1:]))
