from django.db import migrations

# An entry of a longer text was compressed and put out of line, and a phrase is looked for in every
# entry that has its words: fetching and unpacking was half of that. Most fit a page as they are.
_TERMS = """
ALTER TABLE reviews_searchentry SET (toast_tuple_target = 8160)
"""
_UNDO = """
ALTER TABLE reviews_searchentry RESET (toast_tuple_target)
"""


class Migration(migrations.Migration):
    dependencies = [("reviews", "0051_one_live_claim_a_slot")]

    operations = [migrations.RunSQL(_TERMS, _UNDO)]
