"""The control for bench/claims.py: the least Django that claims, decides and shows the next job.

Session, sign-in and CSRF as everywhere; hand-written SQL for the same rows; one small template.
Nothing is checked, nobody is told why, no policy is shown: the floor, not a product.
"""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.bare.settings"

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()
