"""The words the portal draws: the names of its icons, and what a state word means at a glance."""

# The symbols of static/lockstep/icons.svg; a test holds the two together.
_DRAWN = """
alert arrow-right audit billing budget calls check chevron-down chevron-left chevron-right clock close copy
device download external filter info invoices keys lock logout members menu minus models moon overview pause
person plus policies print prompts rotate search sessions settings shield sort-down sort-up sun system trash
usage webhooks
"""
ICONS = frozenset(_DRAWN.split())

# A word that is not here is shown without colour.
_TONES = {
    "good": "active ok succeeded completed paid healthy verified allowed ready delivered approved",
    "warn": """past_due deprecated rotating expiring partial drained estimated clamped retried invited pending
        quarantined grace cancelled disabled""",
    "bad": """failed error refused suspended overdue uncollectible blocked timeout timed_out denied leaked
        rejected failing""",
    "info": "open running queued waiting in_review streaming draft current",
}
TONE_OF = {word: tone for tone, words in _TONES.items() for word in words.split()}
