#!/usr/bin/env python
"""digits-job for spark-submit, and for services that take a Python file for it, such as Dataproc and EMR.

spark-submit --master yarn examples/cluster/spark_submit.py run JOB --engine spark --server dns:///HOST:8500

The arguments after the file are those of digits-job. The master is spark-submit's.
"""

from batch.cluster.cli import main

if __name__ == "__main__":
    main()
