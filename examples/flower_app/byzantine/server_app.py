"""What the server does: Multi-Krum or the mean, and after each round the accuracy on test rows."""

import time

from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from byzantine.task import accuracy, net
from toadstone.attacks.federated.ipm import IPM
from toadstone.defenses.federated.krum import MultiKrum
from toadstone.defenses.federated.mean import Mean
from toadstone.federated.flower import ColludingGrid, ToadstoneStrategy

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    rule = MultiKrum(f=config["malicious"]) if config["aggregator"] == "multi-krum" else Mean()
    base = FedAvg(fraction_evaluate=0.0, min_available_nodes=config["clients"])
    if config["attack"] == "ipm":
        while len(nodes := sorted(grid.get_node_ids())) < config["clients"]:
            time.sleep(1)
        grid = ColludingGrid(grid, IPM(eps=10.0), nodes[: config["malicious"]])
    strategy = ToadstoneStrategy(rule, base)
    result = strategy.start(grid, ArrayRecord(net().state_dict()), config["rounds"], evaluate_fn=_test)
    print("accuracy:", [round(m["accuracy"], 3) for m in result.evaluate_metrics_serverapp.values()])
    print("rejected:", [len(m["rejected"]) for m in result.train_metrics_clientapp.values()])


def _test(number: int, arrays: ArrayRecord) -> MetricRecord:
    model = net()
    model.load_state_dict(arrays.to_torch_state_dict())
    return MetricRecord({"accuracy": accuracy(model)})
