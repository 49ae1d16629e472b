from .clients import LocalTraining as LocalTraining
from .partitions import IID as IID
from .partitions import ByClass as ByClass
from .partitions import Dirichlet as Dirichlet
from .rounds import RoundRecord as RoundRecord
from .simulation import Simulation as Simulation
from .trainer import Federated as Federated
