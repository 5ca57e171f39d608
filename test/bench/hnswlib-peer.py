"""hnswlib's Python binding on the vectors of `npm run bench -- index`, one thread.

Usage: hnswlib-peer.py VECTORS QUERIES DIMENSION M EF_CONSTRUCTION EF K
VECTORS and QUERIES are float32, row by row. Builds, prints a line of JSON, and then searches once for every line that
it reads. Times are in seconds of this process's processor time.
"""

import json
import sys
import time

import hnswlib
import numpy as np

vectors, queries = (np.fromfile(path, dtype=np.float32).reshape(-1, int(sys.argv[3])) for path in sys.argv[1:3])
m, ef_construction, ef, k = map(int, sys.argv[4:])
index = hnswlib.Index("ip", vectors.shape[1])
index.init_index(len(vectors), M=m, ef_construction=ef_construction)
index.set_num_threads(1)
started = time.process_time()
index.add_items(vectors, num_threads=1)
print(json.dumps({"seconds": time.process_time() - started}), flush=True)
index.set_ef(ef)
for _ in sys.stdin:
    started = time.process_time()
    labels, _distances = index.knn_query(queries, k, num_threads=1)
    print(json.dumps({"seconds": time.process_time() - started, "labels": labels.tolist()}), flush=True)
