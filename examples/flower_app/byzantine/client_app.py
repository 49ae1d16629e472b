"""What clients do: ten epochs on rows of their own. The first ones turn their updates round, five times as long."""

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from byzantine.task import net, rows
from toadstone.attacks.federated.byzantine import SignFlip
from toadstone.federated.flower import UpdateAttackMod


def attack(msg: Message, context: Context, call_next):  # the settings are in the run's configuration
    config = context.run_config
    if config["attack"] != "sign-flip":
        return call_next(msg, context)
    mod = UpdateAttackMod(SignFlip(scale=5.0), range(config["malicious"]), total=config["clients"])
    return mod(msg, context, call_next)


app = ClientApp(mods=[attack])


@app.train()
def train(msg: Message, context: Context) -> Message:
    torch.set_num_threads(1)
    model = net()
    model.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    x, y = rows(context.node_config["partition-id"], context.run_config["clients"])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for _ in range(10):
        for some in torch.arange(len(x)).split(20):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[some]), y[some]).backward()
            optimizer.step()
    content = {"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord({"num-examples": len(x)})}
    return Message(RecordDict(content), reply_to=msg)
