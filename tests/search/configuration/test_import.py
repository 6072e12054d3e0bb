"""``distune import``: the platform's configuration is the first trial of a sweep, and the middle of its space."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.trial import FixedTrial

from search.export import export_yaml
from search.propose.rehearsal import load_spaces
from search.propose.starts import known_points
from spaces.errors import Fault
from spaces.parameters import Range
from spaces.platform import PlatformConfig
from spaces.space import Space
from spaces.sweep import SweepConfig
from spaces.trial import TrialConfig
from tests.search.commands import Run, assert_refused
from tests.search.configuration.test_contract import of_a_space
from trainables.students import student_names

N_LAYERS = 7
TINY: dict[str, Any] = {"model": {"architecture": "tiny_conv"}}


class Imports:
    """Imports configurations in a folder with clips."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run, self.folder = run, folder
        (folder / "clips").mkdir()

    def __call__(self, content: dict[str, Any] | str) -> tuple[SweepConfig, Space]:
        """The sweep that is made, and its student's space, what is held taken out."""
        done = self.command(content)
        assert done.status == 0, done.told
        sweep, faults = SweepConfig.load(self.folder / "mine.yaml"), list[Fault]()
        (space,) = load_spaces(sweep, None, faults).values()
        assert faults == []
        return sweep, space

    def command(self, content: dict[str, Any] | str, *arguments: str) -> Any:
        file = self.folder / "platform.yaml"
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        given = arguments or ("--data", str(self.folder / "clips"), "-o", str(self.folder / "mine.yaml"))
        return self.run("import", str(file), *given)


@pytest.fixture
def imports(run: Run, tmp_path: Path) -> Imports:
    return Imports(run, tmp_path)


def first_trial(sweep: SweepConfig, space: Space) -> TrialConfig:
    (student,) = sweep.students
    name, point = next(iter(known_points(space, N_LAYERS, dict.fromkeys(range(N_LAYERS), 0.5), 0).items()))
    assert name == "imported"
    return sweep.trial_config(student, space.suggest(FixedTrial(point), N_LAYERS), 0)


def test_the_first_trial_has_the_files_values_and_the_platforms_where_it_has_none(imports: Imports) -> None:
    content = TINY | {
        "training": {"learning_rate": 0.002, "epochs": 40},
        "distillation": {"enabled": True, "alpha": 0.45, "temperature": 3.0},
        "optimizer": {"weight_decay": 0.001},
    }
    sweep, space = imports(content)
    flat, theirs = first_trial(sweep, space).flat(), PlatformConfig.model_validate(content)
    assert (sweep.name, sweep.epochs_of("tiny_conv"), flat["training.epochs"]) == ("mine", 40, 40)
    told = {"training.learning_rate": 0.002, "distillation.alpha": 0.45, "distillation.temperature": 3.0}
    assert told.items() <= flat.items() and flat["optimizer.weight_decay"] == 0.001
    for key in ("training.batch_size", "loss.loss_function", "loss.label_smoothing", "optimizer.warmup_epochs",
                "augmentation.n_freq_masks", "model.dropout"):  # fmt: skip
        section, name = key.split(".")
        assert flat[key] == getattr(getattr(theirs, section), name), key
    assert flat["model.tcn_num_channels"] == [16, 32, 64, 64]


def test_its_values_are_the_middle_of_what_is_searched(imports: Imports) -> None:
    """The rate in its ratio, alpha between the shipped space's known points, masks as whole numbers."""
    content = TINY | {
        "training": {"learning_rate": 0.002},
        "distillation": {"enabled": True, "alpha": 0.45, "temperature": 3.0},
        "augmentation": {"freq_mask_param": 12},
    }
    _, space = imports(content)
    shipped = Space.load("tiny_conv").parameters["training.learning_rate"]
    rate = space.parameters["training.learning_rate"]
    assert isinstance(rate, Range) and isinstance(shipped, Range)
    assert rate.low * rate.high == pytest.approx(0.002**2, rel=0.01)
    assert rate.high / rate.low == pytest.approx(shipped.high / shipped.low, rel=0.01)
    masks, temperature = space.parameters["augmentation.freq_mask_param"], space.parameters["distillation.temperature"]
    assert masks.extremes == (2, 22) and space.parameters["distillation.alpha"].extremes == (0.0, 0.9)
    assert temperature.extremes == (1.0, 9.49) and all(isinstance(end, float) for end in temperature.extremes)


def test_what_has_no_effect_in_the_file_stays_as_the_shipped_space_has_it(imports: Imports) -> None:
    _, space = imports(TINY | {"distillation": {"enabled": False, "temperature": 7.0}})
    shipped = Space.load("tiny_conv")
    for key in ("distillation.temperature", "distillation.feature_alignment_weight", "distillation.alignment_layers"):
        assert space.parameters[key] == shipped.parameters[key]
    assert list(space.known_points)[1:] == list(shipped.known_points)


def test_a_configuration_without_distillation_starts_without(imports: Imports) -> None:
    sweep, space = imports(TINY | {"distillation": {"enabled": False}})
    assert first_trial(sweep, space).distillation.enabled is False


def test_what_no_range_holds_in_its_middle_is_held_and_told(imports: Imports) -> None:
    distillation = {"enabled": True, "feature_alignment_enabled": True, "alignment_layers": [1, 2, 6]}
    sweep, space = imports(TINY | {"optimizer": {"weight_decay": 0.0}, "distillation": distillation})
    assert sweep.students["tiny_conv"].fixed == {
        "distillation.alignment_layers": [1, 2, 6], "optimizer.weight_decay": 0.0
    }  # fmt: skip
    trial = first_trial(sweep, space)
    assert (trial.distillation.alignment_layers, trial.optimizer.weight_decay) == ((1, 2, 6), 0.0)
    text = (imports.folder / "mine.yaml").read_text()
    assert "# - held at its value, since no range can have it in the middle: distillation.alignment_layers" in text


def test_an_alpha_off_the_shipped_grid_is_drawn_as_it_stands(imports: Imports) -> None:
    sweep, space = imports(TINY | {"distillation": {"enabled": True, "alpha": 0.333}})
    assert first_trial(sweep, space).distillation.alpha == 0.333


def test_augmentation_target_and_teacher_come_over(imports: Imports) -> None:
    (imports.folder / "m.pt").touch()
    content = TINY | {
        "augmentation": {"background_noise_prob": 0.6, "noise_snr_min": 3.0, "rir_prob": 0.3, "time_shift_prob": 0.5,
                         "time_shift_max_ms": 80},
        "size_targets": {"max_flash_kb": 90},
        "distillation": {"enabled": True, "teacher_architecture": "wav2vec2", "teacher_model_path": "m.pt"},
    }  # fmt: skip
    sweep, _ = imports(content)
    views = sweep.data.views
    assert (views.noise_probability, views.rir_probability, views.snr_db) == (0.8, 0.4, (3.0, 20.0))
    assert views.shift_ms == 100.0
    assert sweep.students["tiny_conv"].max_flash_kb == 90
    assert sweep.teacher.model == str(imports.folder / "m.pt")
    assert sweep.data.path == imports.folder / "clips"


def test_the_alignment_weight_is_of_a_mean_here(imports: Imports) -> None:
    """Layers 1, 2, 3 of two teachers of at least four layers: six pairs, 0.1 of their sum is 0.6 of their mean."""
    aligned = {"enabled": True, "feature_alignment_enabled": True, "feature_alignment_weight": 0.1}
    sweep, space = imports(TINY | {"distillation": aligned})
    assert first_trial(sweep, space).distillation.feature_alignment_weight == pytest.approx(0.6)


@pytest.mark.parametrize("student", student_names())
def test_what_distune_exported_comes_back_as_the_same_trial(student: str, run: Run, tmp_path: Path) -> None:
    for seed in range(9):
        results, best = of_a_space(student, student, seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        imports = Imports(run, folder)
        sweep, space = imports(export_yaml(results, best))
        found, wanted = first_trial(sweep, space).flat(), best.config.flat()
        idle = {"seed"}
        if not best.config.distillation.enabled:
            idle |= {key for key in wanted if key.startswith("distillation.") and key != "distillation.enabled"}
        if not best.config.distillation.aligned:
            idle |= {"distillation.feature_alignment_weight", "distillation.alignment_layers"}
        if best.config.distillation.alpha == 0:
            idle |= {"distillation.temperature", "distillation.temperature_scheduler"}
        assert {key: found[key] for key in found if key not in idle} == {
            key: wanted[key] for key in wanted if key not in idle
        }


def test_every_fault_of_a_configuration_is_named_at_once(imports: Imports) -> None:
    content = """
        dstillation: {alpha: 0.5}
        data: {return_raw_audio: true}
        training: {learning_rate: 5e-4, epochs: "many"}
        model:
        distillation: {alignment_layers: "2,4,6", temperature: 12, teacher_architecture: hubert}
    """
    faults = [
        "dstillation: the platform ignores it, and takes its defaults for distillation; rename it",
        "data.return_raw_audio = True: unknown key",
        "training.learning_rate = '5e-4': is text to YAML, which wants a dot in such a number; write 0.0005",
        "training.epochs = 'many'",
        "model: ",
        "distillation.alignment_layers = '2,4,6': is one text",
        "distillation.temperature = 12",
        "distillation.teacher_architecture = 'hubert'",
    ]
    assert_refused(imports.command(content), *faults)
    assert [file.name for file in imports.folder.iterdir() if file.name.startswith("mine")] == []


def test_what_the_platform_takes_and_distune_cannot_is_named_at_once(imports: Imports) -> None:
    content = {
        "data": {"n_mels": 40, "sample_rate": 8000},
        "model": {"architecture": "lstm"},
        "optimizer": {"scheduler": "plateau"},
        "loss": {"loss_function": "triplet_loss"},
        "distillation": {"enabled": True, "alpha": 1.0, "teacher_model_path": "m.pt"},
    }
    faults = [
        "data.n_mels = 40: distune's front-end is fixed",
        "data.sample_rate = 8000",
        "model.architecture = 'lstm': is no student of distune's; choose one of mobilenetv3, resnet18, tiny_conv",
        "optimizer.scheduler = 'plateau'",
        "loss.loss_function = 'triplet_loss'",
        "distillation.alpha = 1.0: leaves nothing to the labels",
        "distillation.secondary_teacher_model_path: is missing: dual needs a fitted conformer",
    ]
    assert_refused(imports.command(content), *faults)


def test_data_that_is_not_there_and_files_that_are_are_refused_beside_the_configurations_faults(
    imports: Imports,
) -> None:
    (imports.folder / "mine.yaml").touch()
    (imports.folder / "mine-space.yaml").touch()
    faults = [
        "command line: --data = 'nowhere': is not there",
        "mine.yaml': is there already",
        "mine-space.yaml': is there already",
        "model.architecture = 'gru'",
    ]
    target = str(imports.folder / "mine.yaml")
    done = imports.command({"model": {"architecture": "gru"}}, "--data", "nowhere", "-o", target)
    assert_refused(done, *faults)
    assert (imports.folder / "mine.yaml").read_text() == ""


def test_distunes_own_trial_is_no_configuration_of_the_platforms(imports: Imports) -> None:
    from search.configuration.forms import exported

    results, best = of_a_space("tiny_conv", "tiny_conv", 0)
    assert_refused(imports.command(exported(results, best, "trial")), "is distune's own trial; export it with --format")


def test_a_whole_file_as_the_platform_saves_it_is_told_nothing_of_its_defaults(imports: Imports) -> None:
    tree = PlatformConfig().model_dump(mode="json")
    tree["model"] |= {"architecture": "resnet18"}
    done = imports.command(tree)
    assert done.status == 0 and "note: " not in done.shown


def test_layers_beyond_the_teacher_that_ships_are_told(imports: Imports) -> None:
    aligned = {"enabled": True, "feature_alignment_enabled": True, "alignment_layers": [3, 6, 9]}
    shown = imports.command(TINY | {"distillation": aligned}).shown
    assert "that teacher has layers 0 to 6: for those beyond, set teacher.model to facebook/wav2vec2-base" in shown


def test_keys_without_a_counterpart_are_told(imports: Imports) -> None:
    done = imports.command(TINY | {"training": {"num_workers": 4}, "qat": {"enabled": True}, "mine": 1})
    assert "note: without a counterpart here: training.num_workers, qat.enabled\n" in done.shown
    assert "note: the platform ignores mine, and so does distune\n" in done.shown
    assert "go on with: distune sweep" in done.shown
