"""Drives a node with the MCP client of PyPI: every tool, old name, resource, template and prompt.

The client checks what each listed tool answers against its output schema; answers under an old
name are held against the schema of the present one here.

usage: tour.py --mode legacy|auto|2026-07-28 --documents DIR --url URL [--key KEY]
       tour.py --mode legacy|auto|2026-07-28 --documents DIR -- COMMAND ...
"""

import argparse
import asyncio
import json
import os

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

TOOLS = [
    "memory_store",
    "memory_store_session",
    "memory_search",
    "memory_list",
    "memory_delete",
    "memory_update",
    "memory_cleanup",
    "memory_health",
    "memory_stats",
    "memory_ingest",
]
READ_ONLY = {"memory_search", "memory_list", "memory_health", "memory_stats"}
DESTRUCTIVE = {"memory_delete", "memory_update", "memory_cleanup"}


class Tour:
    """One client on its way; remembers what it has called."""

    def __init__(self, client, documents):
        self.client = client
        self.documents = documents
        self.called = set()
        self.listed = set()

    async def call(self, name, arguments=None, now=None):
        """Calls a tool that must succeed. `now`: the present name of an old one."""
        result = await self.client.call_tool(name, arguments or {})
        text = result.content[0].text
        assert not result.is_error, f"{name}: {text}"
        await self.client.session.validate_tool_result(now or name, result)
        self.called.add(name)
        return text, result.structured_content

    async def refused(self, name, arguments, start):
        """Calls a tool that must refuse, in words for the model."""
        result = await self.client.call_tool(name, arguments)
        text = result.content[0].text
        assert result.is_error and text.startswith(start), f"{name}: {text}"
        assert result.structured_content is None
        return text

    async def run(self):
        await self.look_around()
        await self.store()
        await self.search()
        await self.list()
        await self.update()
        await self.clean_up()
        await self.ingest()
        await self.inspect()
        await self.read_resources()
        await self.use_prompts()
        await self.delete()
        await self.fail()

    async def look_around(self):
        # A client that did not ask who the server is does not know.
        if self.client.server_info:
            assert self.client.server_info.name == "memnode"
            assert "memory_search" in self.client.instructions
        tools = (await self.client.list_tools()).tools
        assert [tool.name for tool in tools] == TOOLS, tools
        for tool in tools:
            self.listed.add(tool.name)
            hints = tool.annotations
            assert hints.read_only_hint == (tool.name in READ_ONLY), tool.name
            assert hints.destructive_hint == (tool.name in DESTRUCTIVE), tool.name
            assert hints.idempotent_hint is not None, tool.name
            assert tool.input_schema["type"] == "object" and tool.output_schema, tool.name

    async def store(self):
        text, stored = await self.call(
            "memory_store",
            {
                "content": "The ferry to the island leaves at noon",
                "metadata": {"tags": ["Travel", "sea"], "type": "note", "source": "harbour"},
                "conversation_id": "c-1",
            },
        )
        memory = stored["memory"]
        assert text == f"Memory stored successfully (hash: {memory['content_hash']})", text
        assert memory["tags"] == ["sea", "travel"] and memory["memory_type"] == "note", memory
        assert memory["metadata"]["source"] == "harbour", memory
        self.ferry = memory["content_hash"]

        text, again = await self.call(
            "memory_store", {"content": " the FERRY to the island leaves at noon"}
        )
        assert text.startswith("Duplicate content detected (exact match)"), text
        assert not again["success"] and again["content_hash"] == self.ferry, again

        text, stored = await self.call(
            "store_memory",
            {"content": "Bread rises better in a warm kitchen", "metadata": {"tags": "food, home"}},
            now="memory_store",
        )
        assert text.startswith("Memory stored successfully (hash: "), text
        assert stored["memory"]["tags"] == ["food", "home"], stored

        text, session = await self.call(
            "memory_store_session",
            {
                "turns": [
                    {"role": "user", "content": "Which port is the ferry in?"},
                    {"role": "assistant", "content": "The old one, by the lighthouse."},
                ],
                "session_id": "s-7",
                "tags": ["talk"],
            },
        )
        assert text.startswith("Session stored successfully (session_id: s-7, hash: "), text
        assert session["turn_count"] == 2, session
        _, found = await self.call("memory_search", {"tags": ["session:s-7"]})
        content = "[user] Which port is the ferry in?\n[assistant] The old one, by the lighthouse."
        assert found["results"][0]["memory"]["content"] == content, found

    async def search(self):
        question = "when does the boat go"
        text, found = await self.call("memory_search", {"query": question, "limit": 2})
        start = f"Found 2 memories (mode: hybrid) for query: '{question}'\n\n1. "
        assert text.startswith(start) and "\n   Hash: " in text and "\n   Created: " in text, text
        assert found["results"][0]["memory"]["content_hash"] == self.ferry, found
        score = found["results"][0]["similarity_score"]
        assert 0 <= score <= 1, found

        for mode in ["semantic", "hybrid", "exact", "keyword"]:
            text, found = await self.call(
                "memory_search",
                {
                    "query": "island leaves",
                    "mode": mode,
                    "tags": ["travel", "none"],
                    "tag_match": "any",
                    "time_expr": "today",
                    "quality_boost": 0.3,
                    "include_debug": True,
                    "max_response_chars": 4000,
                },
            )
            assert f"(mode: {mode})" in text and "Debug: " in text, text
            assert [hit["memory"]["content_hash"] for hit in found["results"]] == [self.ferry]
        # A phrase is found inside a word too.
        _, found = await self.call("memory_search", {"query": "land lea", "mode": "exact"})
        assert [hit["memory"]["content_hash"] for hit in found["results"]] == [self.ferry], found
        text, found = await self.call("memory_search", {"tags": ["travel"], "tag_match": "all"})
        assert found["total_found"] == 1, found
        text, found = await self.call("memory_search", {"query": "x", "before": "2001-01-01"})
        assert text == "No memories found for query: 'x'" and found["results"] == [], text

        for name, arguments in {
            "retrieve_memory": {"query": question, "n_results": 1},
            "debug_retrieve": {"query": question, "n_results": 1},
            "recall_memory": {"query": f"{question} today", "n_results": 1},
            "search_by_tag": {"tags": ["travel"]},
            "recall_by_timeframe": {"start_date": "2020-01-01", "end_date": "2999-01-01"},
            "exact_match_retrieve": {"content": "The ferry to the island leaves at noon"},
        }.items():
            text, found = await self.call(name, arguments, now="memory_search")
            assert text.startswith("Found "), text
            hashes = [hit["memory"]["content_hash"] for hit in found["results"]]
            assert self.ferry in hashes, f"{name}: {text}"

    async def list(self):
        text, page = await self.call("memory_list", {"page": 1, "page_size": 2})
        assert page["total"] == 3 and page["has_more"] and len(page["memories"]) == 2, page
        _, page = await self.call("memory_list", {"page": 2, "page_size": 2})
        assert not page["has_more"] and len(page["memories"]) == 1, page
        _, page = await self.call("memory_list", {"tags": ["sea"], "memory_type": "note"})
        assert page["total"] == 1, page
        _, page = await self.call("list_memories", {"tag": "food"}, now="memory_list")
        assert page["total"] == 1, page

    async def update(self):
        text, changed = await self.call(
            "memory_update",
            {
                "content_hash": self.ferry,
                "updates": {"tags": ["travel"], "memory_type": "fact", "metadata": {"seen": 2}},
                "preserve_timestamps": True,
            },
        )
        assert "Updated fields: tags, memory_type, metadata" in text, text
        memory = changed["memory"]
        assert memory["tags"] == ["travel"] and memory["memory_type"] == "fact", memory
        assert memory["metadata"]["seen"] == 2 and memory["metadata"]["source"] == "harbour", memory
        assert memory["created_at"] == memory["updated_at"], memory
        text, changed = await self.call(
            "update_memory_metadata",
            {"content_hash": self.ferry, "updates": {"seen": None}},
            now="memory_update",
        )
        assert "seen" not in changed["memory"]["metadata"], changed

    async def clean_up(self):
        # Another text, but not to the model.
        for space in [" ", "  "]:
            await self.call("memory_store", {"content": f"Water the{space}plants on Friday"})
        text, report = await self.call("memory_cleanup")
        assert text.startswith("Found 1 groups of near-duplicates; 1 memory would be"), text
        assert report["dry_run"] and report["deleted_count"] == 1, report
        text, report = await self.call(
            "cleanup_duplicates", {"dry_run": False}, now="memory_cleanup"
        )
        assert text.startswith("Deleted 1 memory of 1 groups"), text
        text, report = await self.call("memory_cleanup", {"similarity_threshold": 0.9})
        assert text == "No near-duplicates found", text

    async def ingest(self):
        path = f"{self.documents}/notes.md"
        text, report = await self.call(
            "memory_ingest", {"file_path": path, "tags": ["paper"], "memory_type": "chapter"}
        )
        assert text.startswith("Document ingestion completed: notes.md\n"), text
        assert report["success"] and report["chunks_stored"] > 0, report
        for name, arguments in {
            "ingest_document": {"file_path": path, "chunk_size": 500, "chunk_overlap": 50},
            "ingest_directory": {
                "directory_path": self.documents,
                "recursive": True,
                "file_extensions": ["md", "txt"],
                "max_files": 10,
            },
        }.items():
            text, report = await self.call(name, arguments, now="memory_ingest")
            assert report["success"], text
        _, found = await self.call("memory_search", {"query": "tides", "tags": ["paper"]})
        assert "moon" in found["results"][0]["memory"]["content"], found

    async def inspect(self):
        for name in ["memory_health", "check_database_health"]:
            text, health = await self.call(name, now="memory_health")
            assert health["status"] == "healthy" and health["model"] == "ready", health
        text, stats = await self.call("memory_stats")
        assert stats["total_memories"] == health["statistics"]["total_memories"], stats

    async def read_resources(self):
        resources = (await self.client.list_resources()).resources
        uris = [str(resource.uri) for resource in resources]
        assert {"memory://stats", "memory://tags", "memory://recent/10"} <= set(uris), uris
        templates = (await self.client.list_resource_templates()).resource_templates
        shown = [template.uri_template for template in templates]
        assert shown == [
            "memory://recent/{n}",
            "memory://tag/{tag}",
            "memory://search/{query}",
        ], shown
        more = ["memory://recent/2", "memory://tag/travel", "memory://search/the%20boat"]
        for uri in uris + more:
            content = (await self.client.read_resource(uri)).contents[0]
            assert content.mime_type == "application/json", uri
            assert isinstance(json.loads(content.text), dict), uri
        # The revision of 2026 counts an unknown resource among the wrong parameters.
        code = -32602 if self.client.protocol_version >= "2026" else -32002
        await self.error(code, self.client.read_resource("memory://nothing"))
        completion = await self.client.complete(
            {"type": "ref/resource", "uri": "memory://tag/{tag}"}, {"name": "tag", "value": "tra"}
        )
        assert completion.completion.values == ["travel"], completion

    async def use_prompts(self):
        prompts = (await self.client.list_prompts()).prompts
        arguments = {
            "memory_review": {"time_period": "last week", "focus_area": "travel"},
            "memory_analysis": {"tags": "travel", "time_range": "today"},
            "knowledge_export": {"format": "markdown", "filter": "boats"},
            "memory_cleanup": {"older_than": "6 months", "similarity_threshold": "0.9"},
            "learning_session": {
                "topic": "boats",
                "key_points": "they float",
                "questions": "why",
            },
        }
        assert [prompt.name for prompt in prompts] == list(arguments), prompts
        for prompt in prompts:
            given = arguments[prompt.name]
            assert {argument.name for argument in prompt.arguments} == set(given), prompt
            result = await self.client.get_prompt(prompt.name, given)
            assert len(result.messages[0].content.text) > 50, result
        await self.error(-32602, self.client.get_prompt("none"))
        await self.error(-32602, self.client.get_prompt("memory_review"))

    async def delete(self):
        async def stored(content, *tags):
            arguments = {"content": content, "metadata": {"tags": list(tags)}}
            _, answer = await self.call("memory_store", arguments)
            return answer["content_hash"]

        gone = await stored("to go by its hash")
        text, _ = await self.call("memory_delete", {"content_hash": gone, "dry_run": True})
        assert text.startswith("Would delete 1 memory"), text
        text, _ = await self.call("memory_delete", {"content_hash": gone})
        assert text == f"Memory deleted successfully: {gone}", text
        gone = await stored("to go by its hash, under an old name")
        await self.call("delete_memory", {"content_hash": gone}, now="memory_delete")

        both = ["red", "blue"]
        frame = {"start_date": "2020-01-01", "end_date": "2999-01-01"}
        for name, arguments, count in [
            ("memory_delete", {"tags": both, "tag_match": "all", "after": "2020-01-01"}, 1),
            ("delete_by_tag", {"tag": "red"}, 2),
            ("delete_by_tags", {"tags": both}, 3),
            ("delete_by_all_tags", {"tags": both}, 1),
            ("delete_by_timeframe", {**frame, "tag": "blue"}, 2),
            ("delete_before_date", {"before_date": "2999-01-01", "tag": "red"}, 2),
        ]:
            for number, tags in enumerate([["red"], ["blue"], both]):
                await stored(f"{name} {number}", *tags)
            text, answer = await self.call(name, arguments, now="memory_delete")
            expected = "Deleted 1 memory" if count == 1 else f"Deleted {count} memories"
            assert text == expected and answer["deleted_count"] == count, f"{name}: {text}"
            await self.client.call_tool("memory_delete", {"tags": both})

    async def fail(self):
        await self.refused("memory_store", {}, "Error storing memory: ")
        await self.refused("memory_store", {"content": ""}, "Error storing memory: ")
        none = {"query": "x", "limit": 0}
        await self.refused("memory_search", none, "Error searching memories: ")
        await self.refused("memory_search", {}, "Error searching memories: at least one filter")
        await self.refused("memory_list", {"page": 0}, "Error listing memories: ")
        await self.refused("memory_delete", {}, "Error deleting memories: at least one condition")
        await self.refused(
            "memory_delete", {"tagz": ["a"]}, "Error deleting memories: `tagz` is no argument"
        )
        unknown = {"content_hash": "0" * 64, "updates": {"tags": []}}
        await self.refused("memory_update", unknown, "Error updating memory: Memory not found")
        await self.refused(
            "memory_ingest", {"file_path": "/nowhere/at/all.md"}, "Error ingesting documents: "
        )
        await self.error(-32602, self.client.call_tool("memory_fly", {}))

    async def error(self, code, request):
        """A request that must be refused by the protocol."""
        try:
            answer = await request
        except MCPError as error:
            assert error.code == code, (error.code, error)
        else:
            raise AssertionError(f"was answered: {answer}")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", default="auto")
    parser.add_argument("--documents", required=True)
    parser.add_argument("--url")
    parser.add_argument("--key")
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    if options.url:
        headers = {"authorization": f"Bearer {options.key}"} if options.key else {}
        http = httpx2.AsyncClient(headers=headers, timeout=60)
        server = streamable_http_client(options.url, http_client=http)
    else:
        command, *arguments = options.command
        server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    async with Client(server, mode=options.mode, read_timeout_seconds=60) as client:
        tour = Tour(client, options.documents)
        await tour.run()
        assert tour.listed <= tour.called, tour.listed - tour.called
        print(json.dumps({"revision": client.protocol_version, "called": sorted(tour.called)}))


asyncio.run(main())
