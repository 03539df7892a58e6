package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/conversations"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"

	"causerie/pipeline"
)

// sdk is OpenAI's official client, talking to the fixture.
func (f *fixture) sdk(options ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(f.http.URL + "/v1"), option.WithAPIKey("none"), option.WithUnsafeAllowHTTP(), option.WithMaxRetries(0),
	}, options...)...)
}

func say(text string) []openai.ChatCompletionMessageParamUnion {
	return []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}
}

func TestSDKChat(t *testing.T) {
	client := withEngine(t).sdk()
	got, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
		Model: "tiny", MaxCompletionTokens: openai.Int(9), Seed: openai.Int(-3), N: openai.Int(2), Temperature: openai.Float(0.8),
		TopP: openai.Float(0.95), PresencePenalty: openai.Float(0.1), FrequencyPenalty: openai.Float(-0.1), User: openai.String("me"),
		LogitBias: map[string]int64{"7": -100}, Stop: openai.ChatCompletionNewParamsStopUnion{OfStringArray: []string{"\n", "。"}},
		Messages: []openai.ChatCompletionMessageParamUnion{
			openai.SystemMessage("be kind"), openai.DeveloperMessage("be brief"), openai.UserMessage("hello"), openai.AssistantMessage("hi"),
			openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{openai.TextContentPart("how are "), openai.TextContentPart("you?")}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Choices) != 2 || got.Choices[1].Index != 1 || got.Model != "tiny" || got.Usage.TotalTokens != got.Usage.PromptTokens+got.Usage.CompletionTokens {
		t.Errorf("unexpected answer %s", got.RawJSON())
	}
	if got.Usage.CompletionTokens > 18 || got.Usage.CompletionTokens < 2 {
		t.Errorf("two choices of at most 9 tokens have %d", got.Usage.CompletionTokens)
	}
	// What the client makes of a reply can be sent back.
	_, err = client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
		Model: "tiny", Messages: append(say("hello"), got.Choices[0].Message.ToParam(), openai.UserMessage("and?")), MaxTokens: openai.Int(2),
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSDKStream(t *testing.T) {
	client := withEngine(t).sdk()
	params := openai.ChatCompletionNewParams{
		Model: "tiny", Messages: say("tell me a story"), Seed: openai.Int(4), MaxTokens: openai.Int(30), N: openai.Int(2),
	}
	whole, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	var all openai.ChatCompletionAccumulator
	for stream.Next() {
		if !all.AddChunk(stream.Current()) {
			t.Fatalf("the client cannot add the chunk %s", stream.Current().RawJSON())
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	for i, c := range all.Choices {
		if c.Message.Content != whole.Choices[i].Message.Content || c.FinishReason != whole.Choices[i].FinishReason || c.Message.Role != "assistant" {
			t.Errorf("choice %d streamed is %q, whole %q", i, c.Message.Content, whole.Choices[i].Message.Content)
		}
	}
	if all.Usage.TotalTokens != whole.Usage.TotalTokens || len(all.Choices) != 2 {
		t.Errorf("usage %+v, want %+v", all.Usage, whole.Usage)
	}
}

// TestSDKAbort leaves a stream in the middle: the reply must end, and its place
// be free for the next.
func TestSDKAbort(t *testing.T) {
	ended := make(chan error, 1)
	f := newFixture(t, chatterFunc(func(ctx context.Context, _ pipeline.ChatRequest, emit func(pipeline.Piece) error) (pipeline.Reply, error) {
		for ctx.Err() == nil {
			if err := emit(pipeline.Piece{Text: "la "}); err != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		ended <- ctx.Err()
		return pipeline.Reply{}, ctx.Err()
	}))
	client := f.sdk()
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		stream := client.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{Model: "tiny", Messages: say("sing")})
		for range 3 {
			if !stream.Next() {
				t.Fatal(stream.Err())
			}
		}
		cancel()
		for stream.Next() {
		}
		if !errors.Is(stream.Err(), context.Canceled) {
			t.Errorf("the stream ended with %v", stream.Err())
		}
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the reply ended with %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("the reply goes on without its client")
		}
	}
}

// TestSDKStructuredOutput asks for JSON of a Go type, as the client's guide to
// structured outputs does.
func TestSDKStructuredOutput(t *testing.T) {
	client := withEngine(t).sdk()
	type person struct {
		Name    string   `json:"name"`
		Age     int      `json:"age"`
		Moods   []string `json:"moods"`
		Manager *person  `json:"manager"`
	}
	schema := map[string]any{
		"type": "object", "additionalProperties": false, "required": []string{"name", "age", "moods", "manager"},
		"properties": map[string]any{
			"name":    map[string]any{"type": "string"},
			"age":     map[string]any{"type": "integer", "minimum": 18, "maximum": 99},
			"moods":   map[string]any{"type": "array", "items": map[string]any{"enum": []string{"good", "bad"}}, "maxItems": 3},
			"manager": map[string]any{"anyOf": []any{map[string]any{"$ref": "#"}, map[string]any{"type": "null"}}},
		},
	}
	params := openai.ChatCompletionNewParams{
		Model: "tiny", Messages: say("who are you?"), N: openai.Int(4), Temperature: openai.Float(1.5), Seed: openai.Int(7), Logprobs: openai.Bool(true),
		ResponseFormat: openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "person", Strict: openai.Bool(true), Schema: schema},
		}},
	}
	whole, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range whole.Choices {
		d := json.NewDecoder(strings.NewReader(c.Message.Content))
		d.DisallowUnknownFields()
		var p person
		if err := d.Decode(&p); err != nil || p.Age < 18 || p.Age > 99 || len(p.Moods) > 3 || c.FinishReason != "stop" {
			t.Errorf("%q (%s): %v", c.Message.Content, c.FinishReason, err)
		}
	}
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	var all openai.ChatCompletionAccumulator
	for stream.Next() {
		all.AddChunk(stream.Current())
	}
	for i, c := range all.Choices {
		if c.Message.Content != whole.Choices[i].Message.Content || stream.Err() != nil {
			t.Errorf("streamed %q, whole %q, %v", c.Message.Content, whole.Choices[i].Message.Content, stream.Err())
		}
	}
	params.MaxTokens = openai.Int(3)
	if short, err := client.Chat.Completions.New(t.Context(), params); err != nil || short.Choices[0].FinishReason != "length" {
		t.Errorf("three tokens are not enough: %v, %+v", err, short)
	}
	params.MaxTokens = openai.Int(100)
	params.ResponseFormat = openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONObject: &shared.ResponseFormatJSONObjectParam{}}
	if object, err := client.Chat.Completions.New(t.Context(), params); err != nil || json.Unmarshal([]byte(object.Choices[3].Message.Content), &map[string]any{}) != nil {
		t.Errorf("an object: %v, %+v", err, object)
	}
	schema["properties"].(map[string]any)["name"] = map[string]any{"type": "string", "contentEncoding": "base64"}
	params.ResponseFormat = openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{
		JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "person", Schema: schema},
	}}
	_, err = client.Chat.Completions.New(t.Context(), params)
	wantSDKError(t, err, http.StatusBadRequest, "invalid_json_schema", "response_format")
}

func TestSDKCompletions(t *testing.T) {
	f := withEngine(t)
	client := f.sdk()
	params := openai.CompletionNewParams{
		Model: "tiny", Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{"hello there", "tell me"}},
		N: openai.Int(2), BestOf: openai.Int(2), Echo: openai.Bool(true), MaxTokens: openai.Int(6), Seed: openai.Int(2),
	}
	whole, err := client.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if len(whole.Choices) != 4 || !strings.HasPrefix(whole.Choices[0].Text, "hello there") || !strings.HasPrefix(whole.Choices[3].Text, "tell me") {
		t.Fatalf("unexpected answer %s", whole.RawJSON())
	}
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := client.Completions.NewStreaming(t.Context(), params)
	texts, reasons := make([]string, 4), make([]openai.CompletionChoiceFinishReason, 4)
	var used openai.CompletionUsage
	for stream.Next() {
		chunk := stream.Current()
		if chunk.ID == whole.ID || len(chunk.Choices) > 1 {
			t.Errorf("unexpected chunk %s", chunk.RawJSON())
		}
		for _, c := range chunk.Choices {
			texts[c.Index] += c.Text
			reasons[c.Index] = c.FinishReason
		}
		used = chunk.Usage
	}
	if stream.Err() != nil {
		t.Fatal(stream.Err())
	}
	for i, c := range whole.Choices {
		if texts[i] != c.Text || reasons[i] != c.FinishReason {
			t.Errorf("choice %d streamed is %q (%s), whole %q (%s)", i, texts[i], reasons[i], c.Text, c.FinishReason)
		}
	}
	if used.TotalTokens != whole.Usage.TotalTokens || used.PromptTokens == 0 {
		t.Errorf("usage %+v, want %+v", used, whole.Usage)
	}
}

// TestSDKBestOf holds the best of several texts against all of them.
func TestSDKBestOf(t *testing.T) {
	client := withEngine(t).sdk()
	params := openai.CompletionNewParams{
		Model: "tiny", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("hello")}, MaxTokens: openai.Int(6),
		N: openai.Int(8), Seed: openai.Int(3), Logprobs: openai.Int(0), Temperature: openai.Float(1.5),
	}
	all, err := client.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	params.N, params.BestOf = openai.Int(2), openai.Int(8)
	got, err := client.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	likelihood := func(c openai.CompletionChoice) float64 {
		sum := 0.0
		for _, l := range c.Logprobs.TokenLogprobs {
			sum += l
		}
		return sum / float64(len(c.Logprobs.TokenLogprobs))
	}
	sort.SliceStable(all.Choices, func(i, j int) bool { return likelihood(all.Choices[i]) > likelihood(all.Choices[j]) })
	for i, c := range got.Choices {
		if want := all.Choices[i]; c.Text != want.Text || c.Index != int64(i) || likelihood(c) != likelihood(want) {
			t.Errorf("choice %d of the best is %q, want %q", i, c.Text, want.Text)
		}
	}
	if len(got.Choices) != 2 || got.Usage.CompletionTokens != all.Usage.CompletionTokens {
		t.Errorf("%d choices of %d tokens, want 2 of the %d that were written", len(got.Choices), got.Usage.CompletionTokens, all.Usage.CompletionTokens)
	}
	params.Logprobs = openai.CompletionNewParams{}.Logprobs
	if quiet, err := client.Completions.New(t.Context(), params); err != nil || quiet.Choices[0].Text != got.Choices[0].Text || quiet.Choices[0].JSON.Logprobs.Raw() != "null" {
		t.Errorf("without logprobs: %v, %+v", err, quiet)
	}
}

func TestSDKEmbeddings(t *testing.T) {
	client := withEngine(t).sdk()
	params := openai.EmbeddingNewParams{Model: "tiny", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"hello", "你好"}}}
	floats, err := client.Embeddings.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	params.EncodingFormat = openai.EmbeddingNewParamsEncodingFormatBase64
	coded, err := client.Embeddings.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	for i := range floats.Data {
		var inBase64 struct{ Embedding string }
		if err := json.Unmarshal([]byte(coded.Data[i].RawJSON()), &inBase64); err != nil {
			t.Fatal(err)
		}
		data, err := base64.StdEncoding.DecodeString(inBase64.Embedding)
		if err != nil || len(data) != 4*len(floats.Data[i].Embedding) {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
		for j, want := range floats.Data[i].Embedding {
			bits := uint32(data[4*j]) | uint32(data[4*j+1])<<8 | uint32(data[4*j+2])<<16 | uint32(data[4*j+3])<<24
			if math.Float32frombits(bits) != float32(want) {
				t.Fatalf("vector %d differs at %d", i, j)
			}
		}
	}
	params.EncodingFormat, params.Dimensions = "", openai.Int(8)
	short, err := client.Embeddings.New(t.Context(), params)
	if err != nil || len(short.Data[0].Embedding) != 8 {
		t.Errorf("8 dimensions: %v", err)
	}
}

func TestSDKModels(t *testing.T) {
	client := withEngine(t).sdk()
	page, err := client.Models.List(t.Context())
	if err != nil || len(page.Data) != 1 || page.Data[0].ID != "tiny" || page.Data[0].Object != "model" {
		t.Fatalf("%+v: %v", page, err)
	}
	if m, err := client.Models.Get(t.Context(), "tiny"); err != nil || m.OwnedBy != "causerie" || m.Created != 1700000000 {
		t.Errorf("%+v: %v", m, err)
	}
	_, err = client.Models.Delete(t.Context(), "tiny")
	wantSDKError(t, err, http.StatusForbidden, "model_not_deletable", "model")
	_, err = client.Models.Get(t.Context(), "gpt-5")
	wantSDKError(t, err, http.StatusNotFound, "model_not_found", "model")
}

// wantSDKError checks what the client makes of an error.
func wantSDKError(t *testing.T, err error, status int, code, param string) {
	t.Helper()
	e, ok := errors.AsType[*openai.Error](err)
	if !ok {
		t.Errorf("not an error of the API: %v", err)
		return
	}
	if e.StatusCode != status || e.Code != code || e.Param != param || e.Message == "" || e.Type == "" {
		t.Errorf("status %d, code %q, param %q, type %q, message %q; want %d, %q, %q", e.StatusCode, e.Code, e.Param, e.Type, e.Message, status, code, param)
	}
	if e.Response.Header.Get("X-Request-Id") == "" {
		t.Error("the error has no request id")
	}
}

func TestSDKModerations(t *testing.T) {
	client := newFixture(t, nil).sdk() // it needs no model
	got, err := client.Moderations.New(t.Context(), openai.ModerationNewParams{
		Model: openai.ModerationModelOmniModerationLatest,
		Input: openai.ModerationNewParamsInputUnion{OfStringArray: []string{"good morning", "I will kill you"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Results) != 2 || got.Results[0].Flagged || !got.Results[1].Flagged || !got.Results[1].Categories.HarassmentThreatening ||
		got.Results[1].CategoryScores.Violence != 1 || got.Results[1].CategoryScores.Sexual != 0 {
		t.Errorf("unexpected answer %s", got.RawJSON())
	}
	got, err = client.Moderations.New(t.Context(), openai.ModerationNewParams{Input: openai.ModerationNewParamsInputUnion{
		OfModerationMultiModalArray: []openai.ModerationMultiModalInputUnionParam{
			openai.ModerationMultiModalInputParamOfText("good morning"), openai.ModerationMultiModalInputParamOfText("我要杀了你"),
		},
	}})
	if err != nil || len(got.Results) != 1 || !got.Results[0].Categories.Violence {
		t.Errorf("%v: %+v", err, got)
	}
	_, err = client.Moderations.New(t.Context(), openai.ModerationNewParams{Model: "other", Input: openai.ModerationNewParamsInputUnion{OfString: openai.String("a")}})
	wantSDKError(t, err, http.StatusNotFound, "model_not_found", "model")
}

func TestSDKStoredCompletions(t *testing.T) {
	client := withEngine(t).sdk()
	var made []string
	for i := range 5 {
		params := openai.ChatCompletionNewParams{
			Model: "tiny", Messages: append(say("hello"), openai.AssistantMessage("hi"), openai.UserMessage(fmt.Sprint(i))),
			MaxTokens: openai.Int(2), Store: openai.Bool(true), Metadata: shared.Metadata{"even": fmt.Sprint(i%2 == 0), "i": fmt.Sprint(i)},
		}
		if i == 3 { // a streamed one is stored like any other
			stream := client.Chat.Completions.NewStreaming(t.Context(), params)
			for stream.Next() {
			}
			made = append(made, stream.Current().ID)
			if stream.Err() != nil {
				t.Fatal(stream.Err())
			}
			continue
		}
		c, err := client.Chat.Completions.New(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, c.ID)
	}
	list := func(params openai.ChatCompletionListParams) (ids []string) {
		t.Helper()
		pager := client.Chat.Completions.ListAutoPaging(t.Context(), params)
		for pager.Next() {
			ids = append(ids, pager.Current().ID)
		}
		if err := pager.Err(); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	if diff := cmp.Diff(made, list(openai.ChatCompletionListParams{Limit: openai.Int(2)})); diff != "" {
		t.Errorf("by twos: %s", diff)
	}
	if diff := cmp.Diff([]string{made[4], made[2], made[0]}, list(openai.ChatCompletionListParams{
		Limit: openai.Int(1), Order: openai.ChatCompletionListParamsOrderDesc, Metadata: shared.Metadata{"even": "true"}, Model: openai.String("tiny"),
	})); diff != "" {
		t.Errorf("even ones, newest first: %s", diff)
	}
	c, err := client.Chat.Completions.Get(t.Context(), made[3])
	if err != nil || c.Metadata["i"] != "3" || len(c.Choices) != 1 || c.Usage.CompletionTokens == 0 {
		t.Errorf("%v: %+v", err, c)
	}
	if c, err = client.Chat.Completions.Update(t.Context(), made[3], openai.ChatCompletionUpdateParams{Metadata: shared.Metadata{"a": "b"}}); err != nil || c.Metadata["a"] != "b" || len(c.Metadata) != 1 {
		t.Errorf("%v: %+v", err, c)
	}
	messages := client.Chat.Completions.Messages.ListAutoPaging(t.Context(), made[1], openai.ChatCompletionMessageListParams{Limit: openai.Int(2)})
	var said []string
	for messages.Next() {
		said = append(said, string(messages.Current().Role)+" "+messages.Current().Content)
	}
	if diff := cmp.Diff([]string{"user hello", "assistant hi", "user 1"}, said); diff != "" || messages.Err() != nil {
		t.Errorf("%v: %s", messages.Err(), diff)
	}
	if gone, err := client.Chat.Completions.Delete(t.Context(), made[0]); err != nil || !gone.Deleted || gone.ID != made[0] {
		t.Errorf("%v: %+v", err, gone)
	}
	_, err = client.Chat.Completions.Get(t.Context(), made[0])
	wantSDKError(t, err, http.StatusNotFound, "not_found", "")
}

func TestSDKConversations(t *testing.T) {
	f := withEngine(t)
	client := f.sdk()
	message := func(role responses.EasyInputMessageRole, text string) responses.ResponseInputItemUnionParam {
		return responses.ResponseInputItemParamOfMessage(text, role)
	}
	c, err := client.Conversations.New(t.Context(), conversations.ConversationNewParams{
		Items: []responses.ResponseInputItemUnionParam{message("developer", "be kind")}, Metadata: shared.Metadata{"topic": "rain"},
	})
	if err != nil {
		t.Fatal(err)
	}
	// Two turns, of which the client sends only what is new.
	ask := func(text string) string {
		t.Helper()
		reply, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
			Model: "tiny", Messages: say(text), Seed: openai.Int(1), MaxTokens: openai.Int(8),
		}, option.WithJSONSet("conversation", c.ID))
		if err != nil {
			t.Fatal(err)
		}
		return reply.Choices[0].Message.Content
	}
	first := ask("hello")
	second := ask("and you?")
	// The same in one request must get the same reply.
	whole, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
		Model: "tiny", Seed: openai.Int(1), MaxTokens: openai.Int(8), Messages: []openai.ChatCompletionMessageParamUnion{
			openai.DeveloperMessage("be kind"), openai.UserMessage("hello"), openai.AssistantMessage(first), openai.UserMessage("and you?"),
		},
	})
	if err != nil || whole.Choices[0].Message.Content != second {
		t.Errorf("kept by the server the reply is %q, sent by the client %q: %v", second, whole.Choices[0].Message.Content, err)
	}
	pager := client.Conversations.Items.ListAutoPaging(t.Context(), c.ID, conversations.ItemListParams{Limit: openai.Int(2), Order: conversations.ItemListParamsOrderAsc})
	var items, ids []string
	for pager.Next() {
		m := pager.Current().AsMessage()
		items = append(items, string(m.Role)+" "+m.Content[0].Type+" "+m.Content[0].Text)
		ids = append(ids, m.ID)
	}
	want := []string{"developer input_text be kind", "user input_text hello", "assistant output_text " + first, "user input_text and you?", "assistant output_text " + second}
	if diff := cmp.Diff(want, items); diff != "" || pager.Err() != nil {
		t.Errorf("%v: %s", pager.Err(), diff)
	}
	added, err := client.Conversations.Items.New(t.Context(), c.ID, conversations.ItemNewParams{
		Items: []responses.ResponseInputItemUnionParam{message("user", "more"), message("assistant", "yes")},
	})
	if err != nil || len(added.Data) != 2 || added.FirstID != added.Data[0].ID {
		t.Errorf("%v: %+v", err, added)
	}
	if item, err := client.Conversations.Items.Get(t.Context(), c.ID, ids[1], conversations.ItemGetParams{}); err != nil || item.AsMessage().Content[0].Text != "hello" {
		t.Errorf("%v: %+v", err, item)
	}
	if left, err := client.Conversations.Items.Delete(t.Context(), c.ID, ids[1]); err != nil || left.ID != c.ID {
		t.Errorf("%v: %+v", err, left)
	}
	if c, err = client.Conversations.Update(t.Context(), c.ID, conversations.ConversationUpdateParams{Metadata: shared.Metadata{"a": "b"}}); err != nil {
		t.Error(err)
	}
	if c, err = client.Conversations.Get(t.Context(), c.ID); err != nil || fmt.Sprint(c.Metadata) != "map[a:b]" {
		t.Errorf("%v: %+v", err, c)
	}
	if gone, err := client.Conversations.Delete(t.Context(), c.ID); err != nil || !gone.Deleted {
		t.Errorf("%v: %+v", err, gone)
	}
	_, err = client.Conversations.Get(t.Context(), c.ID)
	wantSDKError(t, err, http.StatusNotFound, "not_found", "")
}

// TestSDKRetries: the client comes again when it is told to, and not before.
func TestSDKRetries(t *testing.T) {
	var asked atomic.Int32
	f := newFixture(t, chatterFunc(func(context.Context, pipeline.ChatRequest, func(pipeline.Piece) error) (pipeline.Reply, error) {
		if asked.Add(1) == 1 {
			return pipeline.Reply{}, pipeline.ErrBusy
		}
		return pipeline.Reply{Text: "now", FinishReason: pipeline.FinishStop}, nil
	}))
	start := time.Now()
	client := f.sdk(option.WithMaxRetries(2))
	got, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: "tiny", Messages: say("hi")})
	if err != nil || got.Choices[0].Message.Content != "now" || asked.Load() != 2 {
		t.Fatalf("%d requests: %v", asked.Load(), err)
	}
	if waited := time.Since(start); waited < 900*time.Millisecond {
		t.Errorf("the client came again after %s, but Retry-After said a second", waited)
	}
	asked.Store(0)
	none := f.sdk()
	_, err = none.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: "tiny", Messages: say("hi")})
	wantSDKError(t, err, http.StatusTooManyRequests, "busy", "")
}

func TestSDKErrors(t *testing.T) {
	f := withEngine(t)
	client := f.sdk()
	ctx := t.Context()
	_, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{Model: "gpt-5", Messages: say("hi")})
	wantSDKError(t, err, http.StatusNotFound, "model_not_found", "model")
	_, err = client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{Model: "tiny", Messages: say("hi"), TopLogprobs: openai.Int(2)})
	wantSDKError(t, err, http.StatusBadRequest, "", "top_logprobs")
	_, err = client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{Model: "tiny", Messages: say(strings.Repeat("rain ", 500))})
	wantSDKError(t, err, http.StatusBadRequest, "context_length_exceeded", "messages")
	stream := client.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{Model: "tiny", Messages: say(strings.Repeat("rain ", 500))})
	if stream.Next() {
		t.Errorf("a chunk of a request that cannot be: %s", stream.Current().RawJSON())
	}
	wantSDKError(t, stream.Err(), http.StatusBadRequest, "context_length_exceeded", "messages")
	_, err = client.Completions.New(ctx, openai.CompletionNewParams{Model: "tiny", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("a")}, Suffix: openai.String("z")})
	wantSDKError(t, err, http.StatusBadRequest, "unsupported_parameter", "suffix")
	if !bytes.Contains([]byte(f.log.String()), []byte(`"error"`)) {
		t.Error("errors are not logged")
	}
}

// TestSDKErrorInAStream: an error after the first chunk must reach the caller.
func TestSDKErrorInAStream(t *testing.T) {
	f := newFixture(t, chatterFunc(func(_ context.Context, _ pipeline.ChatRequest, emit func(pipeline.Piece) error) (pipeline.Reply, error) {
		if err := emit(pipeline.Piece{Text: "Once"}); err != nil {
			return pipeline.Reply{}, err
		}
		return pipeline.Reply{}, errors.New("out of ink")
	}))
	client := f.sdk()
	stream := client.Chat.Completions.NewStreaming(t.Context(), openai.ChatCompletionNewParams{Model: "tiny", Messages: say("hi")})
	for stream.Next() {
	}
	if stream.Err() == nil {
		t.Error("the client takes half a reply for a whole one")
	}
}
