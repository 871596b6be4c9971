"""medcnn.training.state: what a kill must not lose."""

import pytest
import torch
from trainings import small_module

from medcnn.errors import OutputError
from medcnn.training.state import Progress, read_state, restore, snapshot, write_state


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_state_comes_back_as_it_was(tmp_path, layout):
    module = small_module()
    module.network.to(memory_format=layout)
    optimiser = module.configure_optimizers()
    one = torch.rand(8, 1, 16, 16), torch.randint(0, 2, (8, 2)).float()
    module.training_step(one)["loss"].backward()
    optimiser.step()
    record = Progress(epoch=2, step=5, losses=[0.5], best_score=0.7, best_epoch=1)
    seen = {"index": torch.tensor([3, 1])}
    file = tmp_path / "last.safetensors"
    write_state(file, snapshot(module.network, None, optimiser, seen), record)
    other = small_module()
    other.network.to(memory_format=layout)
    twin = other.configure_optimizers()
    tensors, told = read_state(file)
    assert restore(tensors, other.network, None, twin)["index"].tolist() == [3, 1]
    assert told == record
    dropout = torch.get_rng_state()
    for learner, stepper in ((module, optimiser), (other, twin)):
        torch.set_rng_state(dropout)
        stepper.zero_grad()
        learner.training_step(one)["loss"].backward()
        stepper.step()
    for name, value in module.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[name]), name


def test_a_damaged_state_is_refused_and_an_absent_one_is_none(tmp_path):
    assert read_state(tmp_path / "none.safetensors") is None
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    with pytest.raises(OutputError, match="is not a training's state"):
        read_state(tmp_path / "bad.safetensors")
