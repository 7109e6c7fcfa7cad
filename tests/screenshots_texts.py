"""What the items of the pictures say."""

PHISHING = """Dear customer, we noticed unusual activity on your account and have limited your \
access. To restore it you must confirm your password and card number within 24 hours, otherwise \
the account will be closed and all boards deleted.

Confirm now: https://pаypal-secure.example/verify?id=8817

If you did not request this, you do not need to do anything else.\u200b Thank you for helping us \
keep everyone safe.





The Support Team \u202esrevres ruo morf tnes\u202c"""

TEXTS = [
    ("Your account will be closed today", PHISHING, 0.92, 4, 1200),
    ("Re: invoice 4411", "Please find the invoice attached. Regards, Dora", 0.12, 0, 12),
    ("𝓕𝓻𝓮𝓮 pills, no prescription", "Order at www.pills.example/now " * 6, 0.97, 9, 340),
    ("Meeting notes", "We met on Tuesday and agreed to postpone the launch.", 0.05, 1, 3),
    ("عرض خاص", "اربح مليون دولار اليوم! https://win.example/ar?x=1 الآن فقط", 0.71, 2, 88),
    (
        "Quarterly newsletter",
        "\n\n".join(["A long paragraph about gardening. " * 30] * 40),
        0.3,
        0,
        51,
    ),
    ("", "no subject here, just a line", None, 0, 0),
    ("Hot singles near you", "Click http://hot.example/join and meet them tonight.", 0.66, 3, 450),
]

POST_FIELDS = [
    {"name": "heading", "label": "Heading", "type": "string", "role": "title"},
    {"name": "body", "label": "Post", "type": "text", "role": "text"},
    {"name": "quoted", "label": "Answers", "type": "text", "role": ""},
    {"name": "picture", "label": "Picture", "type": "image", "role": "image"},
    {"name": "alt", "label": "Alt text", "type": "string", "role": ""},
    {"name": "film", "label": "Clip", "type": "video", "role": "video"},
    {"name": "link", "label": "Links to", "type": "url", "role": "url"},
    {"name": "author", "label": "Author", "type": "string", "role": "author"},
    {"name": "answer_to", "label": "Answer to", "type": "string", "role": "parent"},
    {"name": "written", "label": "Written", "type": "datetime", "role": "date"},
    {"name": "likes", "label": "Likes", "type": "number", "role": "number"},
    {"name": "client", "label": "Sent from", "type": "key-value", "role": "key-value"},
]
POST_LAYOUT = [
    {"block": "title", "fields": ["heading"]},
    {"block": "quote", "fields": ["quoted"]},
    {"block": "text", "fields": ["body"]},
    {"block": "image", "fields": ["picture", "alt"]},
    {"block": "video", "fields": ["film"]},
    {"block": "link", "fields": ["link"]},
    {"block": "facts", "label": "About it", "fields": ["author", "written", "likes"]},
    {"block": "facts", "label": "Sent from", "fields": ["client"]},
]
POST = {
    "heading": "Look at what I found",
    "body": "You would not believe it.\n\nAll of it is at https://shop.example/offer now.",
    "quoted": "Has anybody seen the new catalogue? I cannot find it anywhere.",
    "picture": "https://media.example/u/8817/catalogue.jpg",
    "alt": "A page of a catalogue, with prices crossed out",
    "film": "https://media.example/u/8817/clip.mp4",
    "link": "https://shop.example/offer?id=8817",
    "author": "dora_1142",
    "answer_to": "post-8816",
    "written": "2026-11-24T09:12:00+00:00",
    "likes": "many",
    "client": {"app": "Harbour for phones", "version": 4.2, "is_beta": True},
    "mood": "cheerful",
}
