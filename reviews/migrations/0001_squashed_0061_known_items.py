"""All tables at once, for a new database; one that has the 61 steps counts as having taken this.

The steps stay for databases that are somewhere between. tests/test_squashed.py compares both ways.
"""

from django.db import migrations

from .squashed import (
    bulk,
    content,
    database,
    likeness,
    media,
    outcome,
    people,
    policy,
    queues,
    together,
    wellness,
    work,
)
from .squashed.tables import CreateModels


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("reviews", "0001_initial"),
        ("reviews", "0002_append_only_and_hot_tables"),
        ("reviews", "0003_fewer_indexes"),
        ("reviews", "0004_past_calls"),
        ("reviews", "0005_one_first_decision"),
        ("reviews", "0006_self_serve"),
        ("reviews", "0007_carry_offers_and_shares"),
        ("reviews", "0008_tighten_queues"),
        ("reviews", "0009_assigned_jobs_stand_apart"),
        ("reviews", "0010_revisions"),
        ("reviews", "0011_a_turn_for_each_queue"),
        ("reviews", "0012_prefetched_claims_and_erased_items"),
        ("reviews", "0013_one_prefetched_claim"),
        ("reviews", "0014_where_a_claim_starts"),
        ("reviews", "0015_routing_versions"),
        ("reviews", "0016_rules_to_versions"),
        ("reviews", "0017_drop_routing_rules"),
        ("reviews", "0018_rerank_due"),
        ("reviews", "0019_relabelling"),
        ("reviews", "0020_finding_by_version"),
        ("reviews", "0021_answers_with_fewer_indexes"),
        ("reviews", "0022_reports_in_the_rank"),
        ("reviews", "0023_carry_lifts_draws_and_reporters"),
        ("reviews", "0024_every_drawn_job_has_its_draw"),
        ("reviews", "0025_sampled_draws"),
        ("reviews", "0026_replays_and_rosters"),
        ("reviews", "0027_bulk_operations"),
        ("reviews", "0028_jobs_by_age"),
        ("reviews", "0029_clusters"),
        ("reviews", "0030_due_hashes_are_hot"),
        ("reviews", "0031_wellbeing"),
        ("reviews", "0032_one_walk_ranks_anew"),
        ("reviews", "0033_how_a_person_reads"),
        ("reviews", "0034_notes"),
        ("reviews", "0035_escalations_and_skip_reasons"),
        ("reviews", "0036_notifications"),
        ("reviews", "0037_exposure"),
        ("reviews", "0038_high_contrast"),
        ("reviews", "0039_media"),
        ("reviews", "0040_consultations_and_questions"),
        ("reviews", "0041_grades_and_marks"),
        ("reviews", "0042_parameters_that_are_asked"),
        ("reviews", "0043_thread_places"),
        ("reviews", "0044_own_keys"),
        ("reviews", "0045_jobs_side_by_side"),
        ("reviews", "0046_places_for_a_page"),
        ("reviews", "0047_check_places_for_a_page"),
        ("reviews", "0048_search_entries"),
        ("reviews", "0049_canned_notes"),
        ("reviews", "0050_consultation_is_for_anybody"),
        ("reviews", "0051_one_live_claim_a_slot"),
        ("reviews", "0052_search_entries_stay_whole"),
        ("reviews", "0053_views_at_a_decision"),
        ("reviews", "0054_draws_of_disagreements"),
        ("reviews", "0055_alert_notifications"),
        ("reviews", "0056_stranded_jobs"),
        ("reviews", "0057_stranded_notifications"),
        ("reviews", "0058_views_so_far"),
        ("reviews", "0059_check_views_so_far"),
        ("reviews", "0060_draws_by_learning_rounds"),
        ("reviews", "0061_known_items"),
    ]

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        CreateModels(
            *people.TABLES,
            *content.TABLES,
            *media.TABLES,
            *policy.TABLES,
            *queues.TABLES,
            *work.TABLES,
            *outcome.TABLES,
            *bulk.TABLES,
            *likeness.TABLES,
            *together.TABLES,
            *wellness.TABLES,
        ),
        *database.RULES,
    ]
