from .clients import LocalTraining as LocalTraining
from .rounds import RoundRecord as RoundRecord
from .rule import Round as Round
from .rule import Rule as Rule
from .simulation import Simulation as Simulation
from .views import Aggregate as Aggregate
from .views import Aggregator as Aggregator
from .views import AttackerView as AttackerView
from .views import ClientAttack as ClientAttack
from .views import ServerView as ServerView

# isort: split
# Below: the registered classes, written by `python -m toadstone.generate`.
from .partitions import IID as IID
from .partitions import ByClass as ByClass
from .partitions import Dirichlet as Dirichlet
from .trainer import Federated as Federated
