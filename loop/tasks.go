package loop

// MoreTasks says that a task became ready outside of the task phase, as when the loss of a connection ends its wait:
// the next poll does not wait, and the next turn runs the task. Loop thread only.
func (l *Loop) MoreTasks() { l.tasks = true }
