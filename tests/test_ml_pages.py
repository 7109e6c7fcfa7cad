"""The model side's pages: who may open and do what, what they show, and how they refuse."""

import shutil

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.utils import override_settings
from django.urls import reverse

from mlhooks import promotions, registry, snapshots
from mlhooks.models import DueScore, ModelVersion, Promotion, Snapshot, TrainingRun
from reviews.models import AuditEntry

from .factories import make_evidence, make_item, make_job, make_platform, make_policy, make_queue
from .people import CAST, make_person
from .test_snapshots import decide, group_in

pytestmark = pytest.mark.django_db

# What evaluation.report gives, cut short.
REPORT = {
    "n": 40,
    "positives": 10,
    "base_rate": 0.25,
    "auprc": 0.81,
    "auprc_interval": [0.7, 0.9],
    "auroc": 0.9,
    "brier": 0.1,
    "ece": 0.02,
    "recall_at_precision": {"0.5": 1.0, "0.8": 0.8, "0.9": 0.6, "0.95": 0.4},
    "pr_curve": [
        {"recall": 0.1, "precision": 1.0, "threshold": 0.9},
        {"recall": 0.6, "precision": 0.9, "threshold": 0.6},
        {"recall": 1.0, "precision": 0.25, "threshold": 0.1},
    ],
    "reliability": [
        {"predicted": 0.1, "observed": 0.12, "size": 30},
        {"predicted": 0.8, "observed": 0.7, "size": 10},
    ],
    "answered_by": "trained",
}


@pytest.fixture(scope="module")
def kept(keep, tmp_path_factory):
    def build():
        folder = tmp_path_factory.mktemp("ml")
        with override_settings(SNAPSHOT_DIR=folder / "snapshots", MODEL_DIR=folder / "models"):
            return World(), folder

    return keep(build)


@pytest.fixture
def world(kept, settings, tmp_path):
    world, folder = kept.copy()
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    settings.SNAPSHOT_DIR, settings.MODEL_DIR = tmp_path / "snapshots", tmp_path / "models"
    return world


# What evidence.gather works out about one policy, cut short.
EVIDENCE = {
    "frozen": {"value": 0.12, "interval": [0.03, 0.2], "n": 40, "positives": 10},
    "stream": {"value": None, "interval": None, "n": 3, "positives": 0},
    "calibration": {"value": 0.05, "interval": [0.02, 0.08], "n": 60, "positives": 20},
    "capacity": [{"share": 0.1, "recall": 0.4, "champion": 0.2}],
    "parts": {
        "languages": [
            {
                "part": "en",
                "n": 40,
                "positives": 10,
                "base_rate": 0.25,
                "auprc": 0.8,
                "auroc": 0.9,
                "champion_auprc": 0.7,
                "difference": 0.1,
                "interval": [0.0, 0.2],
            }
        ]
    },
    "functional": {
        "value": 0.5,
        "rate": 1.0,
        "champion": 0.5,
        "n": 6,
        "positives": 3,
        "by_functionality": [{"name": "plain", "n": 6, "passed": 6, "champion": 3}],
        "failed": [],
    },
    "load": {"value": 0.5, "share": 0.1, "champion": 0.2, "n": 100, "positives": 10},
}


class World:
    """A platform with a snapshot, a champion, a measured candidate and its training run."""

    def __init__(self):
        self.platform = platform = make_platform(slug="mail", name="Mail")
        self.people = {name: make_person(name, platform=platform) for name in CAST}
        platform.spam = make_policy(platform=platform, slug="spam", name="Spam and scams")
        platform.queue = make_queue(platform=platform, policies=[platform.spam])
        platform.rosa = self.people["rosa"]
        for n, split in enumerate(["train"] * 8 + ["valid"] * 2 + ["test"] * 2):
            item = make_item(platform=platform, split_group=group_in(split))
            decide(platform, violated=["spam"] if n % 2 else [], item=item)
        self.snapshot = snapshots.create_snapshot(platform, by=self.people["mila"], note="weekly")
        snapshots.build(self.snapshot.pk)
        self.snapshot.refresh_from_db()
        self.champion = registry.ensure_zero_shot(platform)
        self.candidate = registry.register(
            platform,
            registry.load(self.champion),
            kind="trained",
            policy_versions=registry.in_force(platform),
            encoder_version=self.champion.encoder,
            snapshot=self.snapshot,
            evaluation={
                "test_rows": 40,
                "candidate": {"spam": REPORT},
                "champion": {"spam": {**REPORT, "auprc": 0.5}},
                "champion_label": self.champion.label,
            },
            by=None,
        )
        self.evidence = make_evidence(self.candidate, spam=EVIDENCE)
        self.run = TrainingRun.objects.create(
            platform=platform,
            snapshot=self.snapshot,
            state="done",
            model_version=self.candidate,
            created_by=self.people["mila"],
            finished_at=self.candidate.created_at,
            history=[
                {"policy": "spam", "epoch": n, "train_loss": 1 / n, "valid_loss": 1.1 / n}
                for n in (1, 2, 3)
            ],
        )

    def client(self, name):
        client = Client()
        client.force_login(self.people[name])
        return client

    def urls(self):
        snapshot, run, model = self.snapshot.pk, self.run.pk, self.candidate.pk
        return {
            "snapshots": reverse("mlhooks:snapshot-list"),
            "preview": reverse("mlhooks:snapshot-preview"),
            "snapshot": reverse("mlhooks:snapshot-detail", args=[snapshot]),
            "snapshot progress": reverse("mlhooks:snapshot-progress", args=[snapshot]),
            "file": reverse("mlhooks:snapshot-file", args=[snapshot, "data.jsonl"]),
            "training": reverse("mlhooks:training-detail", args=[run]),
            "training progress": reverse("mlhooks:training-progress", args=[run]),
            "models": reverse("mlhooks:model-list"),
            "model": reverse("mlhooks:model-detail", args=[model]),
            "rescoring": reverse("mlhooks:rescoring", args=[self.platform.pk]),
        }

    def post(self, name, url_name, *args, **data):
        return self.client(name).post(reverse(f"mlhooks:{url_name}", args=args), data)


_SNAPSHOTS = {"snapshots", "snapshot", "snapshot progress"}
_MODELS = {"training", "training progress", "models", "model", "rescoring"}
PAGES_OF = {
    "rosa": set(),
    "lena": _MODELS,
    "paul": _SNAPSHOTS | _MODELS,
    "mila": _SNAPSHOTS | _MODELS | {"preview", "file"},
    "abel": _SNAPSHOTS | _MODELS,
    "ada": set(),
    "otto": set(),
}


@pytest.mark.parametrize("name", PAGES_OF)
def test_everyone_opens_what_her_role_allows_and_nothing_else(world, name):
    client = world.client(name)
    opened = {page for page, url in world.urls().items() if client.get(url).status_code == 200}
    assert opened == PAGES_OF[name]


def test_a_stranger_is_sent_to_sign_in(world):
    for url in world.urls().values():
        assert Client().get(url)["Location"].startswith("/accounts/login/")


def test_people_of_another_platform_find_nothing(world):
    stranger = make_person("mila", platform=make_platform())
    world.platform.members.remove(stranger)
    client = Client()
    client.force_login(stranger)
    urls = world.urls()
    for page in ("snapshot", "snapshot progress", "file", "training", "model", "rescoring"):
        assert client.get(urls[page]).status_code == 404, page
    assert b"Snapshot 1" not in client.get(urls["snapshots"]).content
    assert b"v2 trained" not in client.get(urls["models"]).content


DEEDS = {
    "snapshot-create": {"mila"},
    "training-create": {"mila"},
    "promotion-propose": {"mila"},
    "promotion-approve": {"paul"},
    "promotion-withdraw": {"mila"},
    "roll-back": {"mila"},
}


def _act(world, name, deed):
    if deed == "snapshot-create":
        return world.post(name, deed, platform="mail", note="n")
    if deed == "training-create":
        return world.post(name, deed, world.snapshot.pk, kind="trained", seed="1")
    if deed == "promotion-propose":
        return world.post(name, deed, world.candidate.pk, reason="better")
    promotion = Promotion.objects.filter(approved_at=None, withdrawn_at=None).first()
    if promotion is None and deed != "roll-back":
        promotion = promotions.propose(world.candidate, by=world.people["mila"], reason="better")
    if deed == "roll-back":
        return world.post(name, deed, registry.champion(world.platform).pk)
    return world.post(name, deed, promotion.pk)


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("name", CAST)
def test_a_deed_is_done_by_its_role_and_refused_to_everyone_else(world, name, deed):
    if deed == "roll-back":
        promotion = promotions.propose(world.candidate, by=world.people["mila"], reason="better")
        promotions.approve(promotion, by=world.people["paul"])
    entries = AuditEntry.objects.count()

    answer = _act(world, name, deed)

    if name in DEEDS[deed]:
        assert answer.status_code == 302, answer.content
        assert AuditEntry.objects.filter(actor=world.people[name]).exists()
    else:
        assert answer.status_code == 403
        expected = entries if deed in ("snapshot-create", "training-create") else entries + 1
        assert AuditEntry.objects.count() <= expected


@pytest.mark.parametrize("deed", DEEDS)
def test_a_deed_is_never_a_link(world, deed):
    args = [] if deed == "snapshot-create" else [1]
    answer = world.client("mila").get(reverse(f"mlhooks:{deed}", args=args))
    assert answer.status_code == 405


def test_she_who_proposed_cannot_approve(world):
    world.post("mila", "promotion-propose", world.candidate.pk, reason="better")
    promotion = Promotion.objects.get(approved_at=None)

    page = world.client("mila").get(world.urls()["model"]).content.decode()
    assert "somebody else approves" in page
    assert "Approve and promote" not in page
    assert world.post("mila", "promotion-approve", promotion.pk).status_code == 403
    assert registry.champion(world.platform) == world.champion


def test_promotion_in_two_people_and_rollback_in_one_step(world):
    make_job(queue=world.platform.queue)
    world.post("mila", "promotion-propose", world.candidate.pk, reason="AUPRC .81 against .50")
    promotion = Promotion.objects.get(approved_at=None)
    assert "AUPRC .81 against .50" in world.client("paul").get(world.urls()["model"]).text

    world.post("paul", "promotion-approve", promotion.pk)
    assert registry.champion(world.platform) == world.candidate
    page = world.client("mila").get(world.urls()["model"]).text
    assert "still wait" in page
    assert f"Roll back to {world.champion.label}" in page
    assert DueScore.objects.count() == 1

    world.post("mila", "roll-back", world.candidate.pk)
    assert registry.champion(world.platform) == world.champion
    assert world.post("mila", "roll-back", world.candidate.pk).status_code == 409


def test_approving_twice_is_refused_in_words(world):
    world.post("mila", "promotion-propose", world.candidate.pk, reason="better")
    promotion = Promotion.objects.get(approved_at=None)
    world.post("paul", "promotion-approve", promotion.pk)
    again = world.post("paul", "promotion-approve", promotion.pk)
    assert again.status_code == 409
    assert "approved or withdrawn meanwhile" in again.text


def test_the_model_page_shows_both_models_and_the_numbers_behind_each_chart(world):
    page = world.client("paul").get(world.urls()["model"]).text
    assert page.count('<figure class="chart plot">') == 3
    assert page.count("The numbers") == 3
    assert "0.810" in page and "0.500" in page
    assert "40 test rows" in page
    assert "style=" not in page and "<script>" not in page


def test_the_snapshot_page_shows_counts_hashes_and_how_to_load_it(world):
    page = world.client("mila").get(world.urls()["snapshot"]).text
    for entry in snapshots.list_files(world.snapshot):
        assert entry["name"] in page
        assert entry["sha256"] in page
    assert "pd.read_parquet" in page
    assert "/api/v1/snapshots/1/files/data-train.parquet" in page


def test_an_auditor_sees_files_but_gets_no_link_to_them(world):
    page = world.client("abel").get(world.urls()["snapshot"]).text
    assert "data-train.parquet" in page
    assert world.urls()["file"] not in page
    assert "Train a model" not in page


def test_a_download_from_the_page_is_audited(world):
    answer = world.client("mila").get(world.urls()["file"], headers={"Range": "bytes=0-3"})
    assert (answer.status_code, answer.getvalue()) == (206, b'{"de')
    assert AuditEntry.objects.get(verb="snapshot.download").data["file"] == "data.jsonl"


def test_the_preview_counts_what_would_be_frozen(world):
    page = world.client("mila").get(world.urls()["preview"]).text
    assert "<dd>12</dd>" in page


def test_progress_asks_for_itself_until_it_is_over(world):
    Snapshot.objects.update(state="building", rows_done=3, rows_expected=12)
    TrainingRun.objects.update(state="running", step="Fitting spam", fraction=0.5)
    client, urls = world.client("mila"), world.urls()
    for page in ("snapshot progress", "training progress"):
        assert 'hx-trigger="every 1s"' in client.get(urls[page]).text
    assert "Fitting spam" in client.get(urls["training progress"]).text
    Snapshot.objects.update(state="ready")
    TrainingRun.objects.update(state="done")
    over = client.get(urls["snapshot progress"])
    assert "every 1s" not in over.text and over["HX-Refresh"] == "true"
    assert "every 1s" not in client.get(urls["training progress"]).text


def test_what_failed_says_why(world):
    Snapshot.objects.update(state="failed", error="The disk is full.")
    TrainingRun.objects.update(state="failed", error="There are too few labels.")
    client, urls = world.client("mila"), world.urls()
    assert "The disk is full." in client.get(urls["snapshot"]).text
    assert "There are too few labels." in client.get(urls["training"]).text


def test_a_training_is_stopped_from_its_page_once(world):
    run = TrainingRun.objects.create(platform=world.platform, snapshot=world.snapshot)
    assert world.post("mila", "training-cancel", run.pk).status_code == 302
    assert world.post("mila", "training-cancel", run.pk).status_code == 409
    run.refresh_from_db()
    assert run.state == "cancelled"


@pytest.mark.parametrize("seed", ["x", "-1", "1e9", "99999999999"])
def test_a_seed_that_is_no_number_is_refused_in_words(world, seed):
    answer = world.post("mila", "training-create", world.snapshot.pk, seed=seed)
    assert answer.status_code == 422
    assert "seed" in answer.text


def test_pages_of_an_empty_platform_say_what_to_do_next():
    make_person("mila", platform=make_platform())
    client = Client()
    client.force_login(make_person("mila"))
    assert "No snapshot yet" in client.get(reverse("mlhooks:snapshot-list")).text
    assert "Nothing is decided yet" in client.get(reverse("mlhooks:snapshot-preview")).text
    assert "No model yet" in client.get(reverse("mlhooks:model-list")).text
    assert not ModelVersion.objects.exists()


def test_the_lists_cost_the_same_however_long(world, django_assert_max_num_queries):
    for n in range(20):
        Snapshot.objects.create(
            platform=world.platform, number=n + 2, cutoff_id=1, cutoff_at=world.snapshot.cutoff_at
        )
        TrainingRun.objects.create(platform=world.platform, snapshot=world.snapshot)
    client = world.client("mila")
    with django_assert_max_num_queries(16):
        client.get(world.urls()["snapshots"])
    with django_assert_max_num_queries(24):
        client.get(world.urls()["models"])


def test_the_lists_are_had_as_csv(world):
    answer = world.client("paul").get(world.urls()["snapshots"] + "?format=csv")
    assert answer["Content-Type"].startswith("text/csv")
    assert "1,mail,ready,12,weekly" in answer.text


# Evidence, gates, functional cases


def test_the_evidence_page_shows_every_figure_with_its_interval(world):
    page = world.client("mila").get(reverse("mlhooks:evidence-detail", args=[world.candidate.pk]))
    text = page.content.decode()
    for figure in ("0.120", "0.030", "0.200", "0.050", "× 0.50", "Found in the first 10 %"):
        assert figure in text, figure
    assert "Too few to say" in text and "No gate fails." in text


def test_a_failing_gate_is_named_and_only_a_waiver_opens_the_way(world):
    figures = {**EVIDENCE, "frozen": {**EVIDENCE["frozen"], "value": -0.2}}
    make_evidence(world.candidate, spam=figures)
    promotion = promotions.propose(world.candidate, by=world.people["mila"], reason="better")
    page = world.client("paul").get(world.urls()["model"]).content.decode()
    assert "1 gate fails." in page and "Approve and promote" not in page
    refused = world.post("paul", "promotion-approve", promotion.pk)
    assert refused.status_code == 409 and b"spam/frozen" in refused.content
    world.post("paul", "gate-waive", promotion.pk, waiver="The rows are wrong.")
    assert world.post("paul", "promotion-approve", promotion.pk).status_code == 302


def test_a_bound_that_makes_no_sense_is_said_at_its_field_and_kept(world):
    url_name, pk = "gate-edit", world.platform.spam.pk
    given = dict.fromkeys(
        ("frozen", "stream", "calibration", "slices", "functional", "load"), "0.1"
    )
    page = world.post("paul", url_name, pk, **{**given, "load": "much"})
    assert page.status_code == 422
    assert b"Give a number." in page.content and b'value="much"' in page.content
    assert world.post("paul", url_name, pk, **given).status_code == 302
    page = world.client("mila").get(reverse("mlhooks:gate-list"))
    assert b"Changed by <bdi>paul</bdi>" in page.content


def test_a_policy_owner_adds_cases_by_form_and_by_file(world):
    pk = world.platform.spam.pk
    case = {"functionality": "quoting", "text": "He said “buy now”.", "answer": "clean"}
    assert world.post("paul", "case-add", pk, **case).status_code == 302
    contrary = world.post("paul", "case-add", pk, **{**case, "answer": "violating"})
    assert contrary.status_code == 409 and "buy now" in contrary.content.decode()
    file = SimpleUploadedFile("a.csv", b"functionality,text,answer\nplain,Buy!,violating\n")
    assert world.post("paul", "case-add", pk, file=file).status_code == 302
    page = world.client("mila").get(reverse("mlhooks:case-list"))
    assert b"He said" in page.content and b"Buy!" in page.content
    assert b"Add a case" not in page.content
