"""Stores many distinct texts with the MCP client of PyPI, several at a time, and prints what each
call answered as one JSON object.

usage: stores.py NAME COUNT -- COMMAND ...
"""

import asyncio
import json
import os
import sys

from mcp import Client, StdioServerParameters

UNDER_WAY_MAX = 8


async def main():
    name, count, _, command, *arguments = sys.argv[1:]
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    answers = {}
    turn = asyncio.Semaphore(UNDER_WAY_MAX)
    async with Client(server) as client:

        async def store(content):
            async with turn:
                result = await client.call_tool("memory_store", {"content": content})
            assert content not in answers
            answers[content] = result.content[0].text
            # Tells the test how far this client is.
            print(".", end="", file=sys.stderr, flush=True)

        texts = [f"python client {name} remembers number {number}" for number in range(int(count))]
        await asyncio.gather(*map(store, texts))
    print(json.dumps(answers))


asyncio.run(main())
