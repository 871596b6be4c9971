"""What a training tells in place of a person's terminal."""

from medcnn.training.reporter import Reporter


def test_a_listener_hears_every_sentence_and_every_step(capsys):
    heard = []
    reporter = Reporter(visible=False, listener=lambda *told: heard.append(told))

    reporter.say("Learning blob.")
    with reporter.bar("epoch 1/2", 4, done=1) as tick:
        tick(2, "loss 0.5")
        tick(1, "")

    assert heard == [
        (0, None, "Learning blob."),
        (3, 4, "epoch 1/2: loss 0.5"),
        (4, 4, "epoch 1/2"),
    ]
    assert capsys.readouterr() == ("", "")


def test_without_a_listener_nothing_but_the_terminal_is_told(capsys):
    reporter = Reporter(visible=True)
    reporter.say("Learning blob.")
    with reporter.bar("epoch 1/2", 4) as tick:
        tick(4, "loss 0.5")
    assert "Learning blob." in capsys.readouterr().err
