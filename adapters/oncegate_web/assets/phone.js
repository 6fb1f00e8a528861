// The phone of the demo: it requests new messages once a second.
const list = document.getElementById("messages");
const count = document.getElementById("count");

const look = async () => {
  const messages = await (await fetch("/phone/messages")).json();
  for (const { id, medium, destination, code, at } of messages.slice(list.children.length)) {
    const item = document.createElement("li");
    item.id = `message-${id}`;
    const where = Object.assign(document.createElement("small"), {
      textContent: `${at} ${medium} to ${destination}`,
    });
    item.append("Your code is ", Object.assign(document.createElement("b"), { textContent: code }), where);
    list.prepend(item);
  }
  count.textContent = `${messages.length} message${messages.length === 1 ? "" : "s"}`;
};

look();
setInterval(look, 1000);
