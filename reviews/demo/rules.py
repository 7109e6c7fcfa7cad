"""Mailhaven's rules as its Trust team wrote them: policies, actions, queues, routing.

Examples and counter-examples are ours, none is from the corpus: the zero-shot model reads them.
"""

from typing import Any

from reviews.models import Action, Severity

from . import boards

KIND = {
    "slug": "message",
    "name": "Message",
    "fields": [
        {
            "name": "subject",
            "label": "Subject",
            "type": "string",
            "role": "title",
            "required": False,
        },
        {"name": "body", "label": "Message", "type": "text", "role": "text", "required": True},
        {"name": "sender", "label": "From", "type": "string", "role": "author", "required": False},
        {"name": "list", "label": "Mailing list", "type": "string", "role": "", "required": False},
        {
            "name": "thread",
            "label": "Thread",
            "type": "string",
            "role": "thread",
            "required": False,
        },
        {
            "name": "dated",
            "label": "Dated by the sender",
            "type": "datetime",
            "role": "date",
            "required": False,
        },
    ],
}

POLICIES: list[dict[str, Any]] = [
    {
        "slug": "spam",
        "name": "Spam and scams",
        "key": "1",
        "severity": Severity.MEDIUM,
        "severity_weight": 4.0,
        "legal_category": "Scams and fraud: inauthentic or unsolicited commercial messages",
        "summary": "Mass mail nobody asked for, or an offer that deceives to get money.",
        "definition": (
            "Messages sent in bulk to people who did not ask for them, and messages that deceive "
            "in order to get money.\n\n"
            "It violates when any of these holds:\n"
            "- It advertises goods, services or websites to strangers, whatever it sells: "
            "medicine, diets, loans, insurance, software, printer ink, cable boxes, diplomas.\n"
            "- It promises money for little: work from home, pyramid and gifting schemes, secret "
            "systems, shares about to rise, prizes, grants, casino bonuses.\n"
            "- It sells the means of spam: address lists, bulk mailing, fake traffic.\n"
            "- It hides what it is: false sender or subject, random letters to slip past filters, "
            "an unsubscribe line for a list nobody joined.\n\n"
            "It does not violate when the reader asked for it or would expect it: a newsletter "
            "she subscribed to, a receipt, a shop's mail to its own customer, a discussion list. "
            "Ugly, loud or boring is not spam. Quoting or discussing spam is not spam. When only "
            "the opt-in is in doubt, look at the sender's history, then choose Unsure."
        ),
        "examples": [
            "Lose 30 pounds in 30 days, guaranteed! Click here to order your free trial bottle.",
            "Make $5,000 a week from home. No experience needed. This really works, reply today.",
            "Mortgage rates are at their lowest ever. Bad credit is fine. Fill out our short form.",
            "Cheap prescription drugs online, no doctor needed. Viagra shipped overnight.",
            "This stock is about to explode! Buy now, before the big announcement. Strong buy.",
            "Get 10 million fresh e-mail addresses on CD for only $99 and sell to the world.",
            "Congratulations, you have won a free vacation! Call within 24 hours to claim it.",
            "University diplomas, no classes and no tests required. Call now, 24 hours a day.",
            "Eliminate your debt now. Creditors will stop calling you. Free consultation.",
            "Best online casino: a 100% bonus on your first deposit. Play now and win.",
            "Save up to 70% on printer cartridges and toner. Limited time offer. Order today.",
            "Dear friend, this is a one time mailing. To be removed, reply with REMOVE.",
            "Descramble all cable channels, pay-per-view and movies for free with our filter.",
            "Send one dollar to each name on the list, add your own name, and watch the cash come.",
            "Dear sir, we are a factory in China and offer high quality products at low prices.",
            "Secretly find out anything about anyone with this amazing software. Order now.",
            "Look ten years younger with human growth hormone. As seen on TV. 100% natural.",
            "Increase your website traffic. We submit your site to 500 search engines.",
        ],
        "counter_examples": [
            "Re: [users] I upgraded the package and now the server does not start. Any ideas?",
            "On Tuesday Peter wrote: the patch fails on my machine. See the attached log.",
            "Here is this week's newsletter. You get it because you subscribed on our site.",
            "The filter missed a message that says make money fast. I raised the rule's score.",
            "Your order 4711 has shipped. Thank you for buying from us. Track it here.",
            "Are we still on for lunch on Friday? I can book a table at the usual place.",
            "News: the court ruled on file sharing today. Full story at the link below.",
            "I disagree. Free software does not mean free of charge; read the licence again.",
            "Minutes of the meeting: we agreed on the release date, Anna writes the notes.",
            "Today's headlines: new chip announced, markets close lower, a review of a phone.",
            "Use gcc 3.2 and rebuild the source package; then the dependency error goes away.",
            "Registration for our conference is open. You asked us to tell you the dates.",
            "Your password reminder for the mailing list you are a member of.",
            "URL: http://weblog.example/2002 Thoughts on design, and a link to an essay I liked.",
            "Does anyone sell an old laptop? I need one for the lab, my budget is small.",
            "Happy birthday, Mum! The photos from the weekend are on our page.",
        ],
    },
    {
        "slug": "phishing",
        "name": "Phishing and credential theft",
        "harm": "-",
        "key": "2",
        "severity": Severity.CRITICAL,
        "severity_levels": [
            "Clumsy: few would fall for it",
            "Convincing: many could fall for it",
            "Aimed: it names its reader, or her bank or employer",
        ],
        "severity_weight": 20.0,
        "legal_category": "Scams and fraud: phishing, impersonation and identity theft",
        "summary": "Pretends to be somebody to get passwords, bank details or identity papers.",
        "definition": (
            "Messages that pretend to come from somebody they do not come from, or tell a false "
            "story, in order to get passwords, codes, card or bank account details, identity "
            "papers, or the reader's private contact for that purpose.\n\n"
            "It violates when both hold:\n"
            "- A false identity: a bank, a shop, an online service, the tax office, an employer; "
            "or an official, lawyer, banker or heir with a fortune to move (advance-fee letters).\n"
            "- A request that leads to theft: log in here, confirm your details, send your "
            "account number, passport copy, phone and fax number so that we can transfer.\n\n"
            "It violates even if it is clumsy, and even if the link no longer works. Such a "
            "message is also Spam and scams: choose both.\n\n"
            "It does not violate when the sender is who it says it is, or when nothing is asked "
            "for that could be used against the reader. Warnings about phishing, and phishing "
            "quoted for discussion, do not violate."
        ),
        "examples": [
            "Your account will be suspended. Click here to verify your password and card number.",
            "I am the son of the late president. Help me move 25 million dollars out of Africa.",
            "I am a bank manager. A client died without next of kin. I need your account number.",
            "Dear customer, we noticed unusual activity. Confirm your identity within 24 hours.",
            "Strictly confidential: the contract was over-invoiced, we need a foreign account.",
            "The consignment is in a security company in Europe. Send your phone and fax numbers.",
            "Your mailbox is over its quota. Log in with your user name and password to keep it.",
            "I am the widow of a general. The government froze our accounts. I need your help.",
            "We could not bill your card. Update your billing information or lose your service.",
            "You are named in a will. Send a copy of your passport and your bank details.",
            "This is technical support. Reply with your password so that we can fix your account.",
            "Dear sir, I seek your assistance in a transaction. You keep thirty percent of it.",
            "You are due a tax refund. Enter your social security and card number to receive it.",
            "Your lottery ticket won one million euro. To claim, fill in your bank details.",
        ],
        "counter_examples": [
            "You asked to reset your password on our site. If it was not you, ignore this mail.",
            "Warning: mails that ask for your bank password are going around. Do not answer them.",
            "Your bank statement is ready. Log in as usual; we never ask for your password.",
            "Work from home and earn thousands a week. Order our success kit for $39.95.",
            "I got another one of those Nigerian letters today, here it is for your amusement.",
            "Please send me your phone number again, I lost my address book. See you on Monday.",
            "How do I configure the login so that the server asks for the password only once?",
            "Refinance your home today. Rates start at 5%. Fill out our form for a free quote.",
            "The firm paid back the money it had moved through foreign accounts, the paper says.",
            "Please pay the invoice attached to our account as agreed in the contract.",
            "Buy Viagra online at the lowest price, no prescription, discreet shipping.",
            "The certificate of the web server expires next week; I will renew the key.",
        ],
    },
    {
        "slug": "adult",
        "name": "Adult services",
        "harm": "Sexual content",
        "key": "3",
        "severity": Severity.HIGH,
        "severity_weight": 8.0,
        "legal_category": "Pornography or sexualised content: adult sexual material",
        "summary": "Advertises pornography, sex shows, sexual meetings or adult products.",
        "definition": (
            "Messages that advertise or deliver sexual services or sexual material to people who "
            "did not ask for it on Mailhaven, which is open to all ages.\n\n"
            "It violates when it offers any of these: pornographic pictures, films or sites, with "
            "or without payment; live sex shows and webcams; meetings for sex, escorts, adult "
            "personal ads; sex toys and adult shops; work in such productions. Advertising is "
            "also Spam and scams: choose both.\n\n"
            "It does not violate when sex is only a subject: health, education, news, literature, "
            "law, a crude joke between adults. Potency pills and diets are Spam and scams only. "
            "Ordinary dating without sexual offers is not adult.\n\n"
            "Anything sexual that involves a minor is not this policy: escalate at once."
        ),
        "examples": [
            "Free porn! Thousands of hardcore pictures and movies. Click here to enter now.",
            "Hot girls live on webcam, waiting for you. Watch them strip, no charge.",
            "Adult personal ads: meet people in your town for sex tonight.",
            "Stop paying for porn. Get free passwords to the best XXX sites.",
            "See my private photos. I am naked and alone. My webcam is on, come and watch.",
            "Adult DVD sale: buy two hardcore movies and get one free, sent discreetly.",
            "You must be at least 18 to enter this site. Explicit pictures of naked women.",
            "Lonely housewives near you want an affair. Join the adult dating club now.",
            "Visit our online sex shop: toys, lingerie and videos for your pleasure.",
            "Live sex shows around the clock. Wet and wild girls do what you want.",
            "Celebrities exposed: nude pictures of famous stars. See everything, free access.",
            "Escort service: beautiful companions for an hour or the whole night. Call us.",
        ],
        "counter_examples": [
            "Viagra at the lowest price. Order your prescription online today.",
            "Meet other singles just like you. Create your free profile and find love.",
            "The new film was rated for adults because of its language and violence.",
            "The clinic offers advice on contraception and tests, free and confidential.",
            "The library blocked a health site because its filter found the word breast.",
            "Adult education: evening courses in languages and bookkeeping start in May.",
            "Lose weight and look sexy this summer with our new diet pills.",
            "Parliament debates a law against indecent material on the net.",
            "Girls night out on Friday! Who books the table?",
            "The webcam driver crashes when I unplug the camera. Which kernel do you use?",
            "A pill to enlarge your manhood, guaranteed results in four weeks.",
            "My sister had a baby girl last night, both are well, pictures follow.",
        ],
    },
]

ACTIONS: list[dict[str, Any]] = [
    {
        "slug": "remove",
        "name": "Remove message",
        "description": "Taken out of all mailboxes on Mailhaven; the sender is told why.",
        "key": "r",
        "target": Action.Target.ITEM,
    },
    {
        "slug": "limit",
        "name": "Limit reach",
        "description": "Moved to junk folders; who looks for it still finds it.",
        "key": "l",
        "target": Action.Target.ITEM,
        "parameters": {"audience": "who does not know the sender"},
        "asked": {
            "audience": {
                "label": "Out of sight of",
                "choices": [
                    "who does not know the sender",
                    "who does not subscribe to it",
                    "everybody",
                ],
            }
        },
    },
    {
        "slug": "strike",
        "name": "Strike account",
        "description": "Counts against the sender for 90 days; three strikes call for more.",
        "key": "t",
        "target": Action.Target.ACCOUNT,
        "is_strike": True,
        "strike_days": 90,
    },
    {
        "slug": "suspend",
        "name": "Suspend account",
        "description": "No sending for some days. A second person has to approve it.",
        "key": "x",
        "target": Action.Target.ACCOUNT,
        "parameters": {"days": 7, "tells": True},
        "asked": {
            "days": {"label": "Days", "least": 1, "most": 90},
            "tells": {"label": "The sender is told for how long"},
        },
        "needs_approval": True,
    },
]

# What every queue draws beside its risk lane, and which share of its claims the draws get.
_LANES: dict[str, Any] = {
    "random_rate": 0.1,
    "learning_rate": 0.05,
    "qa_rate": 0.02,
    "lane_shares": {"random": 0.1, "learning": 0.05, "qa": 0.02, "gold": 0.02},
}

_SKIP_REASONS = [
    "I do not read this language",
    "Too upsetting for me now",
    "I know the sender",
    "It needs special knowledge",
]

# What goes to the sender with the decision, ready to be put into an answer.
_SPAM_NOTES = [
    {
        "text": "Sent in bulk to people who did not ask for it, to sell them something.",
        "policy": "spam",
        "language": "",
    },
    {
        "text": "It promises money for little and does not say who is behind it.",
        "policy": "spam",
        "language": "",
    },
    {
        "text": "Massenhaft an Leute geschickt, die nicht darum gebeten haben.",
        "policy": "spam",
        "language": "de",
    },
    {
        "text": "The reader subscribed to this list: the footer names it, and nothing is sold.",
        "policy": "",
        "language": "",
    },
]
_PHISHING_NOTES = [
    {
        "text": "Pretends to be somebody it is not, and asks for bank details or identity papers.",
        "policy": "phishing",
        "language": "",
    },
    {
        "text": "An advance-fee letter: millions to move, a share for you, fees to pay first.",
        "policy": "phishing",
        "language": "",
    },
]
# Twenty minutes of such text in a shift, weighted; five such items in a row. Made up, as is all of
# Mailhaven: what is right for people is for each organisation to find out.
LIMITS: dict[str, Any] = {
    "shift_hours": 10,
    "budgets": {"sexual-content": 20},
    "rotation": 5,
    "break_minutes": 50,
    "break_severe": 20,
    "break_length": 5,
    "covers_text": ["adult"],
}

QUEUES: list[dict[str, Any]] = [
    {
        "slug": "phishing",
        "name": "Phishing",
        "description": "Messages that may steal passwords, bank details or identities. Soonest.",
        "policies": ["phishing", "spam"],
        "actions": ["remove", "limit", "strike", "suspend"],
        "takes_escalations": True,
        "sla_minutes": 240,
        "sla_by_source": {"law_enforcement": 60, "trusted_flagger": 190},
        "soon_minutes": 15,
        "skip_reasons": _SKIP_REASONS,
        "canned_notes": [*_PHISHING_NOTES, *_SPAM_NOTES[:2]],
        **_LANES,
        "handling_minutes": 1.5,
        "doubling_hours": 1.0,
    },
    {
        "slug": "adult",
        "name": "Adult services",
        "filters": ["blur", "greyscale", "mute"],
        "description": "Messages that may advertise sexual material or services.",
        "policies": ["adult", "spam"],
        "actions": ["remove", "limit", "strike", "suspend"],
        "sla_minutes": 720,
        "sla_by_source": {"law_enforcement": 120, "trusted_flagger": 360},
        "soon_minutes": 30,
        "skip_reasons": _SKIP_REASONS,
        **_LANES,
        "handling_minutes": 0.5,
        "doubling_hours": 3.0,
    },
    {
        "slug": "spam",
        "name": "Spam and scams",
        "description": "Everything reported or flagged that no other queue takes.",
        "is_default": True,
        "policies": ["spam", "phishing", "adult"],
        "actions": ["remove", "limit", "strike", "suspend"],
        "sla_minutes": 480,
        "sla_by_source": {"law_enforcement": 120, "trusted_flagger": 240},
        "soon_minutes": 30,
        "skip_reasons": _SKIP_REASONS,
        "canned_notes": [*_SPAM_NOTES, *_PHISHING_NOTES],
        **_LANES,
        "handling_minutes": 0.75,
        "doubling_hours": 2.0,
    },
    *boards.QUEUES,
]

# Who is on duty: first weekday, day after the last, from, to, people. The history was simulated
# within minutes, so replays spend these hours.
ROSTERS: dict[str, list[tuple[int, int, int, int, int]]] = {
    "phishing": [(0, 7, 7, 22, 1)],
    "adult": [(0, 5, 9, 17, 1), (5, 7, 12, 16, 1)],
    "spam": [(0, 5, 8, 18, 1), (0, 5, 12, 16, 1), (5, 7, 10, 16, 1)],
}

# First that holds wins. Low thresholds: these breaches are rare, and a missed one costs more than a
# needless look.
ROUTING_RULES: list[dict[str, Any]] = [
    *boards.ROUTING_RULES,
    {
        "name": "Likely phishing",
        "queue": "phishing",
        "condition": {"all": [{"fact": "risk.phishing", "op": ">=", "value": 0.2}]},
    },
    {
        "name": "Likely adult services",
        "queue": "adult",
        "condition": {"all": [{"fact": "risk.adult", "op": ">=", "value": 0.25}]},
    },
]
