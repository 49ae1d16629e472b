from .calibration import Flags as Flags
from .calibration import flag as flag
from .judgement import judge as judge
from .judgement import judge_pool as judge_pool
