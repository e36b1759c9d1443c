"""What every REST view of every app is built on: `apps.keys.rest` is open to them (docs/decisions/0012).

class UsageList(TenantAPIView):
    scopes = {"GET": "usage:read"}

    @describes(page_of(UsageSerializer), query=UsageQuery)
    def get(self, request):
        return CursorPage(request).answer(fetch=…, position=…, show=UsageSerializer)
"""

from apps.keys.rest.pagination import CursorPage as CursorPage
from apps.keys.rest.pagination import page_of as page_of
from apps.keys.rest.schema import describes as describes
from apps.keys.rest.serializers import StrictSerializer as StrictSerializer
from apps.keys.rest.views import ApiRequest as ApiRequest
from apps.keys.rest.views import TenantAPIView as TenantAPIView
