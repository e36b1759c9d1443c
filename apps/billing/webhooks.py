"""Where Stripe calls us, on the operator's host: verify, keep, answer. What it means is found out later."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from apps.billing import services, stripe

_LARGEST = 1_000_000


@csrf_exempt  # Stripe has no session; its signature is the proof.
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """One webhook: 200 once it is kept, 400 for what Stripe did not sign."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > _LARGEST:
        return JsonResponse({"error": "The body is too large."}, status=413)
    try:
        event = stripe.verify_webhook(
            request.body, request.headers.get("Stripe-Signature", ""), settings.STRIPE_WEBHOOK_SECRETS
        )
    except stripe.BadSignature as bad:
        return JsonResponse({"error": bad.message}, status=bad.status)
    is_new = services.receive_webhook(event, now=timezone.now())
    return JsonResponse({"received": True, "new": is_new})
