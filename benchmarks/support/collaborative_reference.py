"""The reference side of benchmarks of factor models, for an interpreter that has Cornac and implicit.

    python collaborative_reference.py INPUT.npz OUTPUT.npz RUNS [FOLDER]

RUNS is JSON, a list of [name, seed, settings], name being vbpr (Cornac's) or bpr (implicit's): each is a
training from the start with the library's own settings but for those given. Writes the seconds of each and
its vectors, a score being the product of a user's and an item's. Works that nobody took have the visual terms
of Cornac's VBPR, and whatever implicit began with. FOLDER is searched last for packages that this interpreter
lacks: Cornac's VBPR wants torch. Imports nothing of Vasari's.
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np

clock = time.process_time if os.environ.get("BENCH_CLOCK") == "processor" else time.perf_counter


def vbpr(given, seed, settings):
    """Cornac's VBPR."""
    import torch  # noqa: F401  # Cornac would import it on the clock
    from cornac.data import Dataset, ImageModality
    from cornac.models import VBPR

    features = given["features"]
    pairs = zip(given["users"].tolist(), given["items"].tolist())  # noqa: B905  # of one length
    data = Dataset.build([(user, item, 1.0) for user, item in pairs], seed=seed)
    images = ImageModality(features=features, ids=list(range(len(features))))
    images.build(id_map=data.iid_map)
    data.add_modalities(item_image=images)
    model = VBPR(seed=seed, verbose=False, **settings)
    started = clock()
    model.fit(data)
    taken = clock() - started
    factors, bias = np.zeros((len(features), model.k), np.float32), np.zeros(len(features), np.float32)
    known = np.array(list(data.iid_map))  # in Cornac's order
    factors[known], bias[known] = model.gamma_item, model.beta_item
    looks, visual_bias = features @ model.emb_matrix, (features @ model.beta_prime).ravel()
    users = np.column_stack([model.gamma_user, model.theta_user, np.ones(len(model.gamma_user))])
    by_user = [data.uid_map[user] for user in range(len(users))]
    return taken, users[by_user], np.column_stack([factors, looks, bias + visual_bias])


def bpr(given, seed, settings):
    """implicit's BPR."""
    from implicit.bpr import BayesianPersonalizedRanking
    from scipy.sparse import csr_matrix

    ones = np.ones(len(given["users"]), np.float32)
    shape = (given["users"].max() + 1, len(given["features"]))
    taken_by = csr_matrix((ones, (given["users"], given["items"])), shape=shape)
    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    model = BayesianPersonalizedRanking(random_state=seed, num_threads=threads, **settings)
    started = clock()
    model.fit(taken_by, show_progress=False)
    return clock() - started, model.user_factors, model.item_factors


def main():
    source, target, runs, *folder = sys.argv[1:]
    sys.path += folder
    given = np.load(source)
    given = {name: given[name] for name in given.files}
    found = {}
    for number, (name, seed, settings) in enumerate(json.loads(runs)):
        taken, users, items = {"vbpr": vbpr, "bpr": bpr}[name](given, seed, settings)
        found |= {f"seconds {number}": taken, f"users {number}": users, f"items {number}": items}
    np.savez(target, **found)


if __name__ == "__main__":
    main()
