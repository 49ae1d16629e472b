from .audit import write_audit as write_audit
from .federated import write_federated as write_federated
from .page import write as write
from .plots import figures as figures
