package pipeline

import (
	"slices"

	"causerie/models/dialogue"
)

// chatPrompt spells a conversation for the model to answer. When it does not
// fit the context beside its reply, whole oldest turns are left out; what
// stays in any case is the system text at the start and everything from the
// newest user turn on. dropped counts the turns left out.
func chatPrompt(tpl dialogue.Template, turns []dialogue.Turn, reply, context int) (ids []int32, dropped int, err error) {
	if len(turns) == 0 {
		return nil, 0, ErrNoMessages
	}
	system := 0
	for system < len(turns) && turns[system].Role == dialogue.RoleSystem {
		system++
	}
	head := tpl.Begin(nil)
	for _, t := range turns[:system] {
		head = tpl.AppendTurn(head, t)
	}
	tail := tpl.AppendPrompt(nil)
	turns = turns[system:]

	// Room for a reply that could fill most of the context is not kept free at
	// the price of the conversation: half the context is room enough.
	reply = min(reply, context/2)
	room := context - reply - len(head) - len(tail)
	spelled := make([][]int32, len(turns))
	first, size := len(turns), 0
	for first > 0 {
		spelled[first-1] = tpl.AppendTurn(nil, turns[first-1])
		if size+len(spelled[first-1]) > room {
			break
		}
		first--
		size += len(spelled[first])
	}
	if newest := newestUser(turns); first > newest {
		for _, t := range turns[newest:first] { // of these only the last is spelled
			size += len(tpl.AppendTurn(nil, t))
		}
		return nil, 0, &PromptTooLongError{PromptTokens: len(head) + size + len(tail), ReplyTokens: reply, Context: context}
	}
	if room < 0 {
		return nil, 0, &PromptTooLongError{PromptTokens: len(head) + len(tail), ReplyTokens: reply, Context: context}
	}
	// A conversation that lost its start begins with the user again.
	for first > 0 && first < len(turns) && turns[first].Role == dialogue.RoleAssistant && first < newestUser(turns) {
		first++
	}
	ids = slices.Concat(append([][]int32{head}, append(spelled[first:], tail)...)...)
	if len(ids) == 0 {
		return nil, 0, ErrNoPrompt
	}
	return ids, first, nil
}

// newestUser is the index of the last turn of the user, of the last turn at
// all when the user has none, and 0 when there are no turns.
func newestUser(turns []dialogue.Turn) int {
	for i, t := range slices.Backward(turns) {
		if t.Role == dialogue.RoleUser {
			return i
		}
	}
	return max(len(turns)-1, 0)
}
