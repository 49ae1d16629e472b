from .grid import ColludingGrid as ColludingGrid
from .mods import UpdateAttackMod as UpdateAttackMod
from .strategy import ToadstoneStrategy as ToadstoneStrategy
