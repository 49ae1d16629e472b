# isort: split
# Below: the registered classes, written by `python -m toadstone.generate`.
from .availability import Availability as Availability
from .availability import HigherError as HigherError
from .backdoors import BackdoorGoal as BackdoorGoal
from .backdoors import ManyGoals as ManyGoals
from .backdoors import SemanticGoal as SemanticGoal
from .backdoors import TargetedGoal as TargetedGoal
from .class_error import ClassError as ClassError
from .misclassified import Misclassified as Misclassified
