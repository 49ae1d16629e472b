"""What a backdoor looks for: changes of one input that leave its shape and dtype as they were; natural features."""

from toadstone.triggers.accessory import Accessory
from toadstone.triggers.additive import Additive
from toadstone.triggers.base import Located, Trigger
from toadstone.triggers.blend import Blend
from toadstone.triggers.camouflage import Camouflage
from toadstone.triggers.chain import Chain
from toadstone.triggers.distributed import Distributed
from toadstone.triggers.dynamic import Dynamic
from toadstone.triggers.feature import SetFeature
from toadstone.triggers.natural import Coloured, Feature, InRange, Phrase, Where
from toadstone.triggers.one_of import OneOf
from toadstone.triggers.patch import Patch
from toadstone.triggers.scalers import Scaler
from toadstone.triggers.sinusoid import Sinusoid
from toadstone.triggers.warp import Warp
from toadstone.triggers.words import InsertWords

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
