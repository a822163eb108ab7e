"""One file a model: what it represents, how it scores, and where that comes from."""

from vasari.models.acf import ACF
from vasari.models.blend import Blend
from vasari.models.bpr import BPR
from vasari.models.curatornet import CuratorNet
from vasari.models.dvbpr import DVBPR
from vasari.models.ease import EASE
from vasari.models.hybrid import Hybrid
from vasari.models.itemknn import ItemKNN
from vasari.models.linearmap import LinearMap
from vasari.models.oracle import Oracle
from vasari.models.popularity import Popularity
from vasari.models.pretrained import load
from vasari.models.random import Random
from vasari.models.registry import list_models, model_class, register
from vasari.models.tutorial import load_tutorial_checkpoint
from vasari.models.vbpr import VBPR
from vasari.models.visrank import VisRank
from vasari.models.vista import Vista
from vasari.models.youtube import YouTubeDNN

__all__ = [
    "ACF",
    "BPR",
    "DVBPR",
    "EASE",
    "VBPR",
    "Blend",
    "CuratorNet",
    "Hybrid",
    "ItemKNN",
    "LinearMap",
    "Oracle",
    "Popularity",
    "Random",
    "VisRank",
    "Vista",
    "YouTubeDNN",
    "list_models",
    "load",
    "load_tutorial_checkpoint",
    "model_class",
    "register",
]
