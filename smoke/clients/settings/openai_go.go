package main

import (
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/azure"
)

// OPENAI_BASE_URL=https://gateway.example.com/v1 and OPENAI_API_KEY
var client = openai.NewClient()

// AZURE_OPENAI_ENDPOINT=https://gateway.example.com, AZURE_OPENAI_API_KEY and OPENAI_API_VERSION
var azureClient = openai.NewClient(
	azure.WithEndpoint(os.Getenv("AZURE_OPENAI_ENDPOINT"), os.Getenv("OPENAI_API_VERSION")),
	azure.WithAPIKey(os.Getenv("AZURE_OPENAI_API_KEY")),
)
