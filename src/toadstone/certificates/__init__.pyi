from . import poisoning_bound as poisoning_bound
from .data_dependent import data_dependent_attack as data_dependent_attack
from .partition import certified_accuracy as certified_accuracy
from .partition import certified_radius as certified_radius
from .partition import median_radius as median_radius
from .poisoning_bound import PoisoningBound as PoisoningBound
