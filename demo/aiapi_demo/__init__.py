"""The live demo: the whole product at work on this computer, measured from outside.

It starts the sandbox, the operator and a load generator as processes of their own, watches
them as a user would (kubectl, the Service's address), and judges the run by what it saw.
"""
