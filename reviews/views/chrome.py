"""Context every page needs: who is signed in, what she may open."""


def chrome(request):
    return {}
