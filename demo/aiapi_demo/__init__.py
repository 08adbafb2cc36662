"""The live demo: runs the whole product on this computer and measures it from outside.

It starts the sandbox, the operator and a load generator as separate processes, observes them as a
user would (kubectl, the Service's address), and checks the run against what it measured.
"""
