// Command clients runs cases of the OpenAI client for Go and writes one JSON line for each: {"case", "value"} or {"case", "error"}.
//
// The arguments are names of cases; without any, all of them run. Its clients are those of ../settings/openai_go.go, which the
// build lays over this package.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/azure"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

var (
	models struct {
		Language   []string
		Codex      string
		Embeddings string
		Plain      string
	}
	prompt  = os.Getenv("PROMPT")
	slowKey = os.Getenv("SLOW_KEY")
	ctx     = context.Background()
)

// once turns the SDK's own retries off: they would hide what the gateway lets through.
var once = option.WithMaxRetries(0)

// kind is one way to make a client.
type kind struct {
	name    string
	api     openai.Client
	withKey func(key string) option.RequestOption
	// extra goes with every call.
	extra []option.RequestOption
}

var kinds = []kind{
	{"OpenAI", client, option.WithAPIKey, []option.RequestOption{once}},
	// The azure package sends keys over HTTPS alone, save to loopback where it is told so; the tests have no certificate.
	{"Azure", azureClient, azure.WithAPIKey, []option.RequestOption{once, azure.WithUnsafeAllowHTTP()}},
}

var weather = openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
	Name: "weather",
	Parameters: openai.FunctionParameters{
		"type":                 "object",
		"properties":           map[string]any{"city": map[string]any{"type": "string"}},
		"required":             []string{"city"},
		"additionalProperties": false,
	},
})

type values map[string]any

func asked(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(prompt)},
	}
}

func input(model, text string) responses.ResponseNewParams {
	return responses.ResponseNewParams{
		Model: model,
		Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(text)},
	}
}

func chat(k kind, model string) (any, error) {
	answer, err := k.api.Chat.Completions.New(ctx, asked(model), k.extra...)
	if err != nil {
		return nil, err
	}
	choice := answer.Choices[0]
	return values{
		"text":   choice.Message.Content,
		"finish": choice.FinishReason,
		"tokens": answer.Usage.TotalTokens,
	}, nil
}

func chatStream(k kind, model string) (any, error) {
	body := asked(model)
	body.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := k.api.Chat.Completions.NewStreaming(ctx, body, k.extra...)
	defer stream.Close()
	var text strings.Builder
	var finish string
	var tokens int64
	whole := openai.ChatCompletionAccumulator{}
	for stream.Next() {
		chunk := stream.Current()
		if !whole.AddChunk(chunk) {
			return nil, fmt.Errorf("the accumulator refuses %s", chunk.RawJSON())
		}
		tokens = chunk.Usage.TotalTokens
		for _, choice := range chunk.Choices {
			text.WriteString(choice.Delta.Content)
			finish = choice.FinishReason
		}
	}
	if err := stream.Err(); err != nil {
		return nil, err
	}
	return values{
		"text":        text.String(),
		"accumulated": whole.Choices[0].Message.Content,
		"finish":      finish,
		"tokens":      tokens,
	}, nil
}

func toolTurn(k kind, model string) (any, error) {
	body := asked(model)
	body.Tools = []openai.ChatCompletionToolUnionParam{weather}
	body.ToolChoice.OfAuto = openai.String("required")
	first, err := k.api.Chat.Completions.New(ctx, body, k.extra...)
	if err != nil {
		return nil, err
	}
	message := first.Choices[0].Message
	if len(message.ToolCalls) == 0 {
		return nil, fmt.Errorf("no tool was called: %s", message.RawJSON())
	}
	call := message.ToolCalls[0]
	body.Messages = append(body.Messages, message.ToParam(), openai.ToolMessage("21 degrees", call.ID))
	body.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{}
	second, err := k.api.Chat.Completions.New(ctx, body, k.extra...)
	if err != nil {
		return nil, err
	}
	return values{
		"name":      call.Function.Name,
		"arguments": json.RawMessage(call.Function.Arguments),
		"text":      second.Choices[0].Message.Content,
	}, nil
}

func respond(k kind, model string) (any, error) {
	answer, err := k.api.Responses.New(ctx, input(model, prompt), k.extra...)
	if err != nil {
		return nil, err
	}
	return values{
		"text":   answer.OutputText(),
		"status": answer.Status,
		"tokens": answer.Usage.TotalTokens,
	}, nil
}

func respondStream(k kind, model string) (any, error) {
	stream := k.api.Responses.NewStreaming(ctx, input(model, prompt), k.extra...)
	defer stream.Close()
	var text strings.Builder
	var types []string
	var last responses.ResponseStreamEventUnion
	for stream.Next() {
		last = stream.Current()
		types = append(types, last.Type)
		if last.Type == "response.output_text.delta" {
			text.WriteString(last.Delta)
		}
	}
	if err := stream.Err(); err != nil {
		return nil, err
	}
	if len(types) == 0 {
		return nil, errors.New("the stream is empty")
	}
	return values{
		"text":   text.String(),
		"first":  types[0],
		"last":   last.Type,
		"whole":  last.Response.OutputText(),
		"tokens": last.Response.Usage.TotalTokens,
	}, nil
}

func stored(k kind) (any, error) {
	first, err := k.api.Responses.New(ctx, input(models.Codex, prompt), k.extra...)
	if err != nil {
		return nil, err
	}
	next := input(models.Codex, "And now?")
	next.PreviousResponseID = openai.String(first.ID)
	second, err := k.api.Responses.New(ctx, next, k.extra...)
	if err != nil {
		return nil, err
	}
	again, err := k.api.Responses.Get(ctx, first.ID, responses.ResponseGetParams{}, k.extra...)
	if err != nil {
		return nil, err
	}
	if err := k.api.Responses.Delete(ctx, first.ID, k.extra...); err != nil {
		return nil, err
	}
	_, gone := k.api.Responses.Get(ctx, first.ID, responses.ResponseGetParams{}, k.extra...)
	return values{
		"continued":  second.OutputText(),
		"same":       again.OutputText() == first.OutputText(),
		"afterwards": failureOf(gone)["status"],
	}, nil
}

func embeddings(k kind) (any, error) {
	body := openai.EmbeddingNewParams{
		Model: models.Embeddings,
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"one", "two", "three"}},
	}
	rows := map[openai.EmbeddingNewParamsEncodingFormat][]openai.Embedding{}
	for _, format := range []openai.EmbeddingNewParamsEncodingFormat{
		openai.EmbeddingNewParamsEncodingFormatFloat,
		openai.EmbeddingNewParamsEncodingFormatBase64,
	} {
		body.EncodingFormat = format
		answer, err := k.api.Embeddings.New(ctx, body, k.extra...)
		if err != nil {
			return nil, err
		}
		rows[format] = answer.Data
	}
	plain := rows[openai.EmbeddingNewParamsEncodingFormatFloat]
	packed := rows[openai.EmbeddingNewParamsEncodingFormatBase64]
	lengths := []int{}
	onTheWire := []string{}
	apart := 0.0
	for i, row := range packed {
		lengths = append(lengths, len(row.Embedding))
		if len(plain) <= i || len(plain[i].Embedding) != len(row.Embedding) {
			return nil, errors.New("the two forms differ in length")
		}
		onTheWire = append(onTheWire, plain[i].JSON.Embedding.Raw()[:1]+row.JSON.Embedding.Raw()[:1])
		for j, number := range row.Embedding {
			apart = math.Max(apart, math.Abs(number-plain[i].Embedding[j]))
		}
	}
	return values{"lengths": lengths, "onTheWire": onTheWire, "near": apart < 1e-6}, nil
}

func modelIDs(k kind) (any, error) {
	ids := []string{}
	pages := k.api.Models.ListAutoPaging(ctx, k.extra...)
	for pages.Next() {
		ids = append(ids, pages.Current().ID)
	}
	slices.Sort(ids)
	return ids, pages.Err()
}

func wrongKey(k kind) (any, error) {
	stranger := append(slices.Clone(k.extra), k.withKey("sk-nobody-knows-this-key"))
	answer, err := k.api.Chat.Completions.New(ctx, asked(models.Plain), stranger...)
	return answer, err
}

func unknownModel(k kind) (any, error) {
	answer, err := k.api.Chat.Completions.New(ctx, asked("no-such-model"), k.extra...)
	return answer, err
}

func overLimit(k kind) (any, error) {
	slow := append(slices.Clone(k.extra), k.withKey(slowKey))
	// The minute may turn between two calls, but not twice among three.
	for range 3 {
		if _, err := k.api.Chat.Completions.New(ctx, asked(models.Plain), slow...); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// failureOf is an error as the SDK tells it; openai.Error is the type that callers of the SDK look for.
func failureOf(err error) values {
	if err == nil {
		return values{}
	}
	var refused *openai.Error
	if !errors.As(err, &refused) {
		return values{"type": fmt.Sprintf("%T", err), "message": err.Error()}
	}
	failure := values{
		"type":    "openai.Error",
		"message": refused.Message,
		"status":  refused.StatusCode,
		"code":    refused.Code,
	}
	if wait := refused.Response.Header.Get("retry-after"); wait != "" {
		failure["retryAfter"] = wait
	}
	return failure
}

type outcome struct {
	Case  string `json:"case"`
	Value any    `json:"value,omitempty"`
	Error values `json:"error,omitempty"`
}

func run() error {
	if err := json.Unmarshal([]byte(os.Getenv("MODELS")), &models); err != nil {
		return fmt.Errorf("MODELS: %w", err)
	}
	wanted := os.Args[1:]
	out := json.NewEncoder(os.Stdout)
	ran := 0
	report := func(name string, call func() (any, error)) error {
		if len(wanted) > 0 && !slices.Contains(wanted, name) {
			return nil
		}
		ran++
		value, err := call()
		if err != nil {
			value = nil
		}
		return out.Encode(outcome{name, value, failureOf(err)})
	}
	perModel := []struct {
		name string
		call func(kind, string) (any, error)
	}{
		{"chat", chat},
		{"chat_stream", chatStream},
		{"tool_turn", toolTurn},
		{"responses", respond},
		{"responses_stream", respondStream},
	}
	perKind := []struct {
		name string
		call func(kind) (any, error)
	}{
		{"stored", stored},
		{"embeddings", embeddings},
		{"model_ids", modelIDs},
		{"wrong_key", wrongKey},
		{"unknown_model", unknownModel},
	}
	for _, k := range kinds {
		for _, model := range models.Language {
			for _, c := range perModel {
				name := fmt.Sprintf("%s, %s, %s", c.name, k.name, model)
				if err := report(name, func() (any, error) { return c.call(k, model) }); err != nil {
					return err
				}
			}
		}
		for _, c := range perKind {
			name := fmt.Sprintf("%s, %s", c.name, k.name)
			if err := report(name, func() (any, error) { return c.call(k) }); err != nil {
				return err
			}
		}
	}
	// One kind alone: the key may make a single request a minute.
	if err := report("over_limit", func() (any, error) { return overLimit(kinds[0]) }); err != nil {
		return err
	}
	if ran == 0 {
		return fmt.Errorf("no such case: %s", strings.Join(wanted, "; "))
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
