from nasnet.modes.library.models import load as load
from nasnet.modes.library.models import network as network
from nasnet.modes.library.search import Search as Search
from nasnet.modes.library.search import search as search
