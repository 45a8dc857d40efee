from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

# OPENAI_BASE_URL=https://gateway.example.com/v1 and OPENAI_API_KEY
client = OpenAI()
async_client = AsyncOpenAI()

# AZURE_OPENAI_ENDPOINT=https://gateway.example.com, AZURE_OPENAI_API_KEY and OPENAI_API_VERSION
azure_client = AzureOpenAI()
async_azure_client = AsyncAzureOpenAI()
