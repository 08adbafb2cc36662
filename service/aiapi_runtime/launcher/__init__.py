"""Starts the runtime in an image that was not prepared for it.

It runs on whatever `python3` the image has, before anything is known of it. So it uses the standard
library only, and no syntax or function that Python 3.6 or PyPy does not have: an interpreter that
cannot serve gets a clear message instead of a SyntaxError.
"""
