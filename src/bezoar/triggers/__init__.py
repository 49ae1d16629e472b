"""What a backdoor looks for: changes of one input that leave its shape and dtype as they were; natural features."""

from bezoar.triggers.accessory import Accessory
from bezoar.triggers.additive import Additive
from bezoar.triggers.base import Located, Trigger
from bezoar.triggers.blend import Blend
from bezoar.triggers.camouflage import Camouflage
from bezoar.triggers.chain import Chain
from bezoar.triggers.distributed import Distributed
from bezoar.triggers.dynamic import Dynamic
from bezoar.triggers.feature import SetFeature
from bezoar.triggers.natural import Coloured, Feature, InRange, Phrase, Where
from bezoar.triggers.one_of import OneOf
from bezoar.triggers.patch import Patch
from bezoar.triggers.scalers import Scaler
from bezoar.triggers.sinusoid import Sinusoid
from bezoar.triggers.warp import Warp
from bezoar.triggers.words import InsertWords

__all__ = [
    "Accessory",
    "Additive",
    "Blend",
    "Camouflage",
    "Chain",
    "Coloured",
    "Distributed",
    "Dynamic",
    "Feature",
    "InRange",
    "InsertWords",
    "Located",
    "OneOf",
    "Patch",
    "Phrase",
    "Scaler",
    "SetFeature",
    "Sinusoid",
    "Trigger",
    "Warp",
    "Where",
]
