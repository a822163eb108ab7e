"""The reference side of `benchmarks.collaborative`, for an interpreter that has Cornac and implicit.

    python collaborative_reference.py INPUT.npz OUTPUT.npz NAME EPOCHS [FOLDER]

NAME is vbpr or bpr; EPOCHS are numbers with commas, each a training from the start. Writes the seconds and
the vectors of every training, a score being the product of a user's and an item's. FOLDER is searched last
for packages that this interpreter lacks: Cornac's VBPR wants torch. Imports nothing of Vasari's.
"""

from __future__ import annotations

import sys
import time

import numpy as np


def vbpr(given, epochs):
    """Cornac's VBPR with its own settings but for the length of the factors."""
    import torch  # noqa: F401  # Cornac would import it on the clock
    from cornac.data import Dataset, ImageModality
    from cornac.models import VBPR

    pairs = zip(given["users"].tolist(), given["items"].tolist())  # noqa: B905  # of one length
    data = Dataset.build([(user, item, 1.0) for user, item in pairs], seed=0)
    images = ImageModality(features=given["features"], ids=list(range(len(given["features"]))))
    images.build(id_map=data.iid_map)
    data.add_modalities(item_image=images)
    model = VBPR(k=20, k2=20, n_epochs=epochs, seed=0, verbose=False)
    started = time.perf_counter()
    model.fit(data)
    taken = time.perf_counter() - started
    users = np.column_stack([model.gamma_user, model.theta_user, np.ones(len(model.gamma_user))])
    bias = model.beta_item + model.visual_bias
    items = np.column_stack([model.gamma_item, model.theta_item, bias])
    by_user, by_item = (np.array([m[n] for n in range(len(m))]) for m in (data.uid_map, data.iid_map))
    return taken, users[by_user], items[by_item]


def bpr(given, epochs):
    """implicit's BPR with its own settings but for the length of the factors."""
    from implicit.bpr import BayesianPersonalizedRanking
    from scipy.sparse import csr_matrix

    taken_by = csr_matrix((np.ones(len(given["users"]), np.float32), (given["users"], given["items"])))
    model = BayesianPersonalizedRanking(factors=64, iterations=epochs, random_state=0)
    started = time.perf_counter()
    model.fit(taken_by, show_progress=False)
    return time.perf_counter() - started, model.user_factors, model.item_factors


def main():
    source, target, name, epochs, *folder = sys.argv[1:]
    sys.path += folder
    given = np.load(source)
    found = {}
    for count in map(int, epochs.split(",")):
        taken, users, items = {"vbpr": vbpr, "bpr": bpr}[name](given, count)
        found |= {f"seconds {count}": taken, f"users {count}": users, f"items {count}": items}
    np.savez(target, **found)


if __name__ == "__main__":
    main()
