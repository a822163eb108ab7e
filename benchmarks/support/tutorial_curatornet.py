"""CuratorNet as the PyTorch tutorial trains it, written anew from its description.

Triples stand in memory before training; a batch holds up to 128 triples whose profiles are equally long, so
that there is no mask; the item tower runs for every work of every triple's profile and for its positive and
negative; Adam, summed binary cross entropy, raw features.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from vasari.data.ragged import Ragged
from vasari.sampling import Triples

BATCH, SLOTS, LEARNING_RATE, DECAY = 128, 60_000, 1e-4, 1e-4


class TutorialNetwork(nn.Module):
    def __init__(self, features: np.ndarray) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(features), freeze=True)
        self.selu_common1, self.selu_common2 = nn.Linear(features.shape[1], 200), nn.Linear(200, 200)
        self.max_pool, self.mean_pool = nn.AdaptiveMaxPool2d((1, 200)), nn.AdaptiveAvgPool2d((1, 200))
        self.selu_pu1, self.selu_pu2 = nn.Linear(400, 300), nn.Linear(300, 300)
        self.selu_pu3 = nn.Linear(300, 200)
        for layer in (self.selu_common1, self.selu_common2, self.selu_pu1, self.selu_pu2, self.selu_pu3):
            nn.init.xavier_uniform_(layer.weight)

    def items(self, rows: Tensor) -> Tensor:
        """Item vectors, shape (..., 200)."""
        return F.selu(self.selu_common2(F.selu(self.selu_common1(self.embedding(rows)))))

    def users(self, profiles: Tensor) -> Tensor:
        """User vectors of equally long profiles, shape (n, length) to (n, 200)."""
        works = self.items(profiles)
        pooled = torch.cat([self.max_pool(works), self.mean_pool(works)], dim=-1).squeeze(1)  # (n, 400)
        return F.selu(self.selu_pu3(F.selu(self.selu_pu2(F.selu(self.selu_pu1(pooled))))))

    def forward(self, profiles: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Differences of scores, shape (n,)."""
        users = self.users(profiles).unsqueeze(1)  # (n, 1, 200)
        above = torch.bmm(users, self.items(positive).unsqueeze(2))
        below = torch.bmm(users, self.items(negative).unsqueeze(2))
        return (above - below).flatten()

    @torch.inference_mode()
    def scores(self, profiles: Ragged) -> np.ndarray:
        """Scores of all items, shape (profiles, items): vectors of all items once, users one by one."""
        items = self.items(torch.arange(len(self.embedding.weight)))
        users = torch.cat([self.users(torch.from_numpy(profile)[None]) for profile in profiles])
        return (users @ items.T).numpy()


class _Written(Dataset):
    """Triples with a profile each."""

    def __init__(self, triples: Triples) -> None:
        self.profiles = [triples.profiles[row] for row in triples.profile.tolist()]
        self.positive, self.negative = triples.positive, triples.negative

    def __getitem__(self, row: int) -> tuple[np.ndarray, np.int64, np.int64]:
        return self.profiles[row], self.positive[row], self.negative[row]


class _EquallyLong(Sampler):
    """Batches of triples whose profiles have one length, in random order."""

    def __init__(self, lengths: np.ndarray, random: np.random.Generator) -> None:
        self.lengths, self.random = lengths, random

    def __iter__(self) -> Iterator[list[int]]:
        batches = []
        for length in np.unique(self.lengths).tolist():
            rows = self.random.permutation(np.flatnonzero(self.lengths == length))
            size = min(BATCH, SLOTS // length)
            batches += [rows[start : start + size].tolist() for start in range(0, len(rows), size)]
        for number in self.random.permutation(len(batches)):
            yield batches[number]


def train(network: TutorialNetwork, triples: Triples, seed: int = 0) -> Iterator[int]:
    """One pass over some triples; after every step the number of triples seen so far."""
    lengths = triples.profiles.lengths[triples.profile]
    batches = DataLoader(_Written(triples), batch_sampler=_EquallyLong(lengths, np.random.default_rng(seed)))
    learnt = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(learnt, lr=LEARNING_RATE, weight_decay=DECAY)
    criterion = nn.BCEWithLogitsLoss(reduction="sum")
    seen = 0
    for profiles, positive, negative in batches:
        optimizer.zero_grad()
        difference = network(profiles, positive, negative)
        criterion(difference, torch.ones_like(difference)).backward()
        optimizer.step()
        seen += len(positive)
        yield seen
