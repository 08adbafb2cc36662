"""prometheus_client's multiprocess mode: an app's metrics are those of all workers, unchanged.

In this mode prometheus_client keeps the metrics in files, one per process and kind of metric, and
adds them up when it is asked. It needs help where workers come and go: the files of ended processes
have to be folded into few (`files`), gauges that were set on import have to reach each worker
(`import_gauges`), and the app's own `/metrics` has to show all workers (`registry`).

All of this uses the app's own copy of prometheus_client. Without one there are no files.
"""
